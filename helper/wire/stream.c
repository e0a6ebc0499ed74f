// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include "pages/page_set.h"
#include "wire/conn.h"
#include "wire/ktls.h"
#include "wire/stream.h"

#define FRAME_MAX_PAGES_RUNS	512
#define PAGES_PER_RECORD	2

_Static_assert(sizeof(struct splice_vm_batch) == 24, "the head is 24 bytes on the wire");
_Static_assert(sizeof(struct splice_vm_run) == 16, "a run is 16 bytes on the wire");

static int bad_frame(struct error *err, const char *why)
{
	return error_set(err, CODE_PEER, NULL, "malformed frame: %s", why);
}

/* Return: 1 with the head, 0 at the end of the stream, -1 with @err */
static int recv_head(const struct conn *conn, int timeout_ms, struct splice_vm_batch *head,
		     struct error *err)
{
	ssize_t n = conn_read_some(conn, head, sizeof(*head), timeout_ms, err);

	if (n <= 0)
		return n;
	return conn_read(conn, (char *)head + n, sizeof(*head) - n, 0, err) ? -1 : 1;
}

static int check_head(const struct frame *frame, uint64_t nr_pages, struct error *err)
{
	switch (frame->kind) {
	case FRAME_PAGES:
		if (!frame->nr_runs || frame->nr_runs > FRAME_MAX_PAGES_RUNS)
			return bad_frame(err, "number of runs of pages");
		if (nr_pages > FRAME_MAX_PAGES)
			return bad_frame(err, "too many pages");
		return 0;
	case FRAME_PACKED:
		if (!frame->nr_runs || frame->nr_runs > FRAME_PACKED_PAGES)
			return bad_frame(err, "number of runs of compressed pages");
		if (nr_pages > FRAME_PACKED_PAGES)
			return bad_frame(err, "too many pages");
		return 0;
	case FRAME_ZERO:
	case FRAME_DROPPED:
	case FRAME_COPY:
	case FRAME_ALSO:
	case FRAME_STALE:
	case FRAME_POPULATED:
	case FRAME_REQUEST:
	case FRAME_LOST:
		if (!frame->nr_runs || frame->nr_runs > FRAME_MAX_RUNS)
			return bad_frame(err, "number of runs of a list");
		return 0;
	case FRAME_ROUND:
	case FRAME_FINAL:
	case FRAME_PUSHED:
	case FRAME_ENDED:
		if (frame->nr_runs || nr_pages)
			return bad_frame(err, "a marker with runs");
		return 0;
	}
	return bad_frame(err, "unknown magic");
}

static int check_runs(struct frame *frame, struct error *err)
{
	uint64_t end = 0;

	frame->nr_pages = 0;
	for (uint32_t i = 0; i < frame->nr_runs; i++) {
		struct splice_vm_run *run = &frame->runs[i];

		run->addr = le64toh(run->addr);
		run->nr_pages = le32toh(run->nr_pages);
		if (run->flags || !run->nr_pages)
			return bad_frame(err, "flags or length of a run");
		if (run->addr & (PAGE_BYTES - 1))
			return bad_frame(err, "a run that is not aligned");
		if (run->addr < end)
			return bad_frame(err, "runs that overlap or are out of order");
		if (run->addr >= USER_END ||
		    run->nr_pages > (USER_END - run->addr) >> PAGE_SHIFT)
			return bad_frame(err, "a run outside of user space");
		end = run->addr + ((uint64_t)run->nr_pages << PAGE_SHIFT);
		frame->nr_pages += run->nr_pages;
	}
	return 0;
}

static int reserve_runs(struct frame *frame, struct error *err)
{
	struct splice_vm_run *runs;

	if (frame->nr_runs <= frame->cap_runs)
		return 0;
	runs = realloc(frame->runs, frame->nr_runs * sizeof(*runs));
	if (!runs)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a frame");
	frame->runs = runs;
	frame->cap_runs = frame->nr_runs;
	return 0;
}

int frame_recv(const struct conn *conn, int timeout_ms, struct frame *frame, struct error *err)
{
	struct splice_vm_batch head;
	int ret = recv_head(conn, timeout_ms, &head, err);

	if (ret != 1)
		return ret;
	frame->kind = le32toh(head.magic);
	frame->nr_runs = le32toh(head.nr_runs);
	frame->cookie = le64toh(head.cookie);
	if (head.reserved)
		return bad_frame(err, "reserved bytes");
	if (check_head(frame, le32toh(head.nr_pages), err) || reserve_runs(frame, err))
		return -1;
	if (frame->nr_runs &&
	    conn_read(conn, frame->runs, frame->nr_runs * sizeof(*frame->runs), 0, err))
		return -1;
	if (check_runs(frame, err))
		return -1;
	/* the sum of a list may exceed the field's 32 bits, so lists have 0 there */
	if (frame_has_pages(frame) ? frame->nr_pages != le32toh(head.nr_pages) : head.nr_pages)
		return bad_frame(err, "sum of pages");
	return 1;
}

void frame_free(struct frame *frame)
{
	free(frame->runs);
	memset(frame, 0, sizeof(*frame));
}

static int send_one(const struct conn *conn, enum frame_kind kind, uint64_t cookie,
		    const struct splice_vm_run *runs, uint32_t nr_runs, uint32_t nr_pages,
		    struct error *err)
{
	struct {
		struct splice_vm_batch head;
		struct splice_vm_run runs[FRAME_MAX_PAGES_RUNS];
	} buf = { .head = {
		.magic = htole32(kind), .nr_runs = htole32(nr_runs),
		.nr_pages = htole32(nr_pages), .cookie = htole64(cookie),
	} };

	/* flags are results of SEND for the sender */
	for (uint32_t i = 0; i < nr_runs; i++)
		buf.runs[i] = (struct splice_vm_run){
			.addr = htole64(runs[i].addr), .nr_pages = htole32(runs[i].nr_pages),
		};
	return conn_write(conn, &buf, sizeof(buf.head) + nr_runs * sizeof(*runs), 0, err);
}

/* A record has 16 KiB; the head of a frame of few pages has one of its own. */
int frame_check_key(const struct conn *conn, uint64_t nr_pages, struct error *err)
{
	return conn->in_kernel ? ktls_check_key(conn->fd, nr_pages / PAGES_PER_RECORD + 1, err) : 0;
}

int frame_send(const struct conn *conn, enum frame_kind kind, uint64_t cookie,
	       const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err)
{
	do {
		uint32_t nr = nr_runs < FRAME_MAX_PAGES_RUNS ? nr_runs : FRAME_MAX_PAGES_RUNS;

		if (send_one(conn, kind, cookie, runs, nr, 0, err))
			return -1;
		runs += nr;
		nr_runs -= nr;
	} while (nr_runs);
	return 0;
}

int frame_send_pages(const struct conn *conn, uint64_t cookie, const struct splice_vm_run *runs,
		     uint32_t nr_runs, const void *data, struct error *err)
{
	uint32_t nr_pages = 0;

	for (uint32_t i = 0; i < nr_runs; i++)
		nr_pages += runs[i].nr_pages;
	if (send_one(conn, FRAME_PAGES, cookie, runs, nr_runs, nr_pages, err))
		return -1;
	return conn_write(conn, data, (size_t)nr_pages * PAGE_BYTES, 0, err);
}

int frame_send_copy(const struct conn *conn, uint64_t cookie, uint64_t addr,
		    uint32_t nr_pages, const void *data, struct error *err)
{
	struct splice_vm_run run = { .addr = addr, .nr_pages = nr_pages };

	return frame_send_pages(conn, cookie, &run, 1, data, err);
}
