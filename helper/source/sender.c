// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "source/sender.h"

int sender_init(struct sender *sender, struct backend *backend, const struct conn *conn, uint32_t mm,
		struct page_set *there, struct error *err)
{
	*sender = (struct sender){ .backend = backend, .conn = conn, .mm = mm, .there = there };
	sender->buf = malloc(FRAME_MAX_PAGES * PAGE_BYTES);
	return sender->buf ? 0 : error_errno(err, CODE_INTERNAL, NULL, "no memory to copy pages");
}

void sender_destroy(struct sender *sender)
{
	free(sender->buf);
	sender->buf = NULL;
}

static uint64_t cookie(const struct sender *sender)
{
	return FRAME_COOKIE(sender->round, sender->mm);
}

int sender_mark(struct sender *sender, enum frame_kind kind, struct error *err)
{
	/* the answer may be here before the call has returned */
	if (kind == FRAME_FINAL)
		atomic_store(&sender->final, true);
	return frame_send(sender->conn, kind, cookie(sender), NULL, 0, err);
}

static int keep_in_step(struct sender *sender, enum frame_kind kind,
			const struct splice_vm_run *run, struct error *err)
{
	if (!sender->there)
		return 0;
	if (kind == FRAME_PAGES)
		return page_set_add(sender->there, run->addr, run->nr_pages, err);
	if (kind != FRAME_POPULATED)
		page_set_remove(sender->there, run->addr, run->nr_pages);
	return 0;
}

/* A frame is in order of addresses; what comes from several scans need not be. */
static uint32_t ascending(const struct splice_vm_run *runs, uint32_t nr_runs)
{
	uint32_t nr = 1;

	while (nr < nr_runs &&
	       runs[nr].addr >= runs[nr - 1].addr + ((uint64_t)runs[nr - 1].nr_pages << PAGE_SHIFT))
		nr++;
	return nr;
}

int sender_list(struct sender *sender, enum frame_kind kind, const struct splice_vm_run *runs,
		uint32_t nr_runs, struct error *err)
{
	while (nr_runs) {
		uint32_t nr = ascending(runs, nr_runs);

		if (frame_send(sender->conn, kind, cookie(sender), runs, nr, err))
			return -1;
		for (uint32_t i = 0; i < nr; i++)
			if (keep_in_step(sender, kind, &runs[i], err))
				return -1;
		runs += nr;
		nr_runs -= nr;
	}
	return 0;
}

static int lost_page(struct sender *sender, const struct splice_vm_run *run, struct error *err)
{
	if (sender->frozen)
		return error_set(err, CODE_TARGET, NULL,
				 "memory at 0x%llx of the stopped program cannot be read",
				 run->addr);
	return sender_list(sender, FRAME_DROPPED, run, 1, err);
}

static int send_copy(struct sender *sender, const struct splice_vm_run *run, struct error *err)
{
	if (frame_send_copy(sender->conn, cookie(sender), run->addr, run->nr_pages, sender->buf, err) ||
	    keep_in_step(sender, FRAME_PAGES, run, err))
		return -1;
	sender->pages += run->nr_pages;
	sender->copied += run->nr_pages;
	sender->bytes += run->nr_pages * PAGE_BYTES;
	return 0;
}

static int copy_run(struct sender *sender, const struct splice_vm_run *run, struct error *err)
{
	struct splice_vm_run piece = { .addr = run->addr };
	uint32_t left = run->nr_pages;
	int ret = 0;

	while (left && !ret) {
		uint32_t nr = left < FRAME_MAX_PAGES ? left : FRAME_MAX_PAGES;
		size_t done;

		if (sender->backend->ops->read(sender->backend, piece.addr, sender->buf,
					       nr * PAGE_BYTES, &done, err))
			return -1;
		piece.nr_pages = done >> PAGE_SHIFT;
		if (piece.nr_pages) {
			ret = send_copy(sender, &piece, err);
		} else {
			/* this one is gone; those behind it may not be */
			piece.nr_pages = 1;
			ret = lost_page(sender, &piece, err);
		}
		piece.addr += (uint64_t)piece.nr_pages << PAGE_SHIFT;
		left -= piece.nr_pages;
	}
	return ret;
}

static int take_results(void *ctx, const struct splice_vm_run *runs, uint32_t nr,
			struct error *err)
{
	struct sender *sender = ctx;
	int ret = 0;

	for (uint32_t i = 0; i < nr && !ret; i++) {
		const struct splice_vm_run *run = &runs[i];

		if (run->flags & SPLICE_VM_RUN_SENT) {
			ret = keep_in_step(sender, FRAME_PAGES, run, err);
		} else if (run->flags & SPLICE_VM_RUN_SLOW) {
			ret = copy_run(sender, run, err);
		} else if (run->flags & SPLICE_VM_RUN_IS_ZERO) {
			sender->zero += run->nr_pages;
			ret = sender_list(sender, FRAME_ZERO, run, 1, err);
		} else {
			ret = lost_page(sender, run, err);
		}
	}
	return ret;
}

int sender_pages(struct sender *sender, const struct splice_vm_run *runs, uint32_t nr_runs,
		 struct error *err)
{
	struct backend_send send = {
		.conn = sender->conn, .cookie = cookie(sender), .buf = sender->buf,
	};
	int ret = sender->backend->ops->send(sender->backend, &send, runs, nr_runs, take_results,
					     sender, err);

	sender->pages += send.pages;
	sender->copied += send.copied;
	sender->bytes += send.bytes;
	return ret;
}

uint32_t sender_take(const struct page_set *set, uint64_t *at, struct splice_vm_run *runs,
		     uint32_t max_runs, uint64_t max_pages)
{
	uint64_t pages = 0;
	struct run run;
	uint32_t nr = 0;

	while (nr < max_runs && pages < max_pages &&
	       page_set_next(set, *at, USER_END, max_pages, &run)) {
		runs[nr++] = (struct splice_vm_run){ .addr = run.addr, .nr_pages = run.nr_pages };
		pages += run.nr_pages;
		*at = run.addr + (run.nr_pages << PAGE_SHIFT);
	}
	return nr;
}
