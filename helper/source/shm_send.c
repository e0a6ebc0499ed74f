// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <string.h>
#include "backend/run_list.h"
#include "base/io.h"
#include "pages/sets.h"
#include "source/shm_compare.h"
#include "source/shm_send.h"

#define LIST_RUNS	512

/** struct shm_sending - one object, one pass */
struct shm_sending {
	struct source_shms *shms;
	struct source_shm *shm;
	struct sender *sender;
	struct mailbox *box;
};

static uint64_t cookie(const struct shm_sending *sending)
{
	return FRAME_COOKIE(sending->sender->round, sending->shm->object);
}

static int send_list(const struct shm_sending *sending, enum frame_kind kind,
		     const struct page_set *set, struct error *err)
{
	struct splice_vm_run runs[LIST_RUNS];
	uint64_t at = 0;
	uint32_t nr;

	while ((nr = runs_take(set, &at, runs, LIST_RUNS, UINT32_MAX)))
		if (frame_send(sending->sender->conn, kind, cookie(sending), runs, nr, err))
			return -1;
	return 0;
}

/* What was sent and is a hole now. */
static int send_dropped(const struct shm_sending *sending, struct error *err)
{
	struct source_shm *shm = sending->shm;
	uint64_t addr = 0;
	struct run run;

	for (; sets_next_only(&shm->sent, &shm->data, addr, USER_END, UINT32_MAX, &run);
	     addr = run_end(&run)) {
		struct splice_vm_run gone = { .addr = run.addr };

		run.nr_pages = gone.nr_pages = sender_pages_at(sending->sender, run.addr, run.nr_pages);
		if (frame_send(sender_at(sending->sender, run.addr)->conn, FRAME_DROPPED, cookie(sending), &gone, 1, err))
			return -1;
		page_set_remove(&shm->sent, run.addr, run.nr_pages);
	}
	return 0;
}

static int send_pages(const struct shm_sending *sending, const struct splice_vm_run *runs,
		      uint32_t nr_runs, uint64_t nr_pages, struct error *err)
{
	struct sender *sender = sending->sender, *to;
	struct compress_mark mark;
	uint64_t carried;

	if (!nr_pages)
		return 0;
	to = sender_at(sender, runs[0].addr);
	mark = compress_begin(to->compress, to->bytes);
	if (packer_send(compress_packer(to->compress), to->conn, cookie(sending), runs, nr_runs, sending->shms->buf, err))
		return -1;
	for (uint32_t i = 0; i < nr_runs; i++)
		if (page_set_add(&sending->shm->sent, runs[i].addr, runs[i].nr_pages, err))
			return -1;
	sender->pages += nr_pages;
	sender->copied += nr_pages;
	sender->bytes += nr_pages * PAGE_BYTES;
	if (to != sender)
		to->bytes += nr_pages * PAGE_BYTES;
	carried = compress_end(to->compress, &mark, to->bytes);
	sender->carried += carried;
	if (to != sender)
		to->carried += carried;
	pace_sent(sender->pace, carried);
	*(sender->frozen ? &sending->shms->frozen_pages : &sending->shms->rounds_pages) += nr_pages;
	return 0;
}

/* Is @page, which is at offset @addr, what the destination has? If not, it soon will be. */
static bool is_current(struct source_shm *shm, uint64_t addr, const void *page)
{
	XXH128_hash_t digest = XXH3_128bits(page, PAGE_BYTES);
	XXH128_hash_t *kept = &shm->digests[addr / PAGE_BYTES];

	if (page_set_has(&shm->sent, addr) && XXH128_isEqual(digest, *kept))
		return true;
	*kept = digest;
	return false;
}

/* Move the pages that have to go to the front of the buffer, and name them in @runs. */
static uint64_t pick(const struct shm_sending *sending, const struct run *piece,
		     struct splice_vm_run *runs, uint32_t *nr_runs)
{
	uint8_t *buf = sending->shms->buf;
	uint64_t picked = 0;

	*nr_runs = 0;
	for (uint64_t i = 0; i < piece->nr_pages; i++) {
		uint64_t addr = piece->addr + i * PAGE_BYTES;
		struct splice_vm_run *last = *nr_runs ? &runs[*nr_runs - 1] : NULL;

		if (is_current(sending->shm, addr, buf + i * PAGE_BYTES))
			continue;
		if (picked != i)
			memcpy(buf + picked * PAGE_BYTES, buf + i * PAGE_BYTES, PAGE_BYTES);
		picked++;
		if (last && last->addr + last->nr_pages * PAGE_BYTES == addr)
			last->nr_pages++;
		else
			runs[(*nr_runs)++] = (struct splice_vm_run){ .addr = addr, .nr_pages = 1 };
	}
	return picked;
}

static int send_piece(const struct shm_sending *sending, const struct run *piece, struct error *err)
{
	struct splice_vm_run runs[SHM_PIECE_PAGES];
	size_t bytes = piece->nr_pages * PAGE_BYTES, done;
	uint32_t nr_runs;
	uint64_t picked;

	if (mailbox_failed(sending->box, err))
		return -1;
	if (io_pread_all(sending->shm->fd, sending->shms->buf, bytes, piece->addr, &done))
		return error_errno(err, CODE_TARGET, NULL, "cannot read shared memory \"%s\"",
				   sending->shm->name);
	/* the end of the object is in the middle of a page, or has moved while the program runs */
	memset((uint8_t *)sending->shms->buf + done, 0, bytes - done);
	picked = pick(sending, piece, runs, &nr_runs);
	if (sending->sender->frozen)
		sending->shms->compared_pages += piece->nr_pages;
	return send_pages(sending, runs, nr_runs, picked, err);
}

/* Pages of which nobody knows that they are the destination's. @early: those that are known are counted */
static bool next_piece(const struct source_shm *shm, uint64_t addr, struct run *piece, uint64_t *early)
{
	struct run run;

	while (page_set_next(&shm->data, addr, USER_END, SHM_PIECE_PAGES, &run)) {
		for (; run.nr_pages && shm_is_known(shm, run.addr); run.nr_pages--) {
			run.addr += PAGE_BYTES;
			++*early;
		}
		piece->addr = addr = run.addr;
		piece->nr_pages = 0;
		while (run.nr_pages-- && !shm_is_known(shm, addr)) {
			piece->nr_pages++;
			addr += PAGE_BYTES;
		}
		if (piece->nr_pages)
			return true;
	}
	return false;
}

static int send_shm(const struct shm_sending *sending, struct error *err)
{
	uint64_t addr = 0, early = 0;
	struct run run;

	if (send_dropped(sending, err))
		return -1;
	while (next_piece(sending->shm, addr, &run, &early)) {
		run.nr_pages = sender_pages_at(sending->sender, run.addr, run.nr_pages);
		if (send_piece(sending, &run, err))
			return -1;
		addr = run_end(&run);
	}
	sending->shms->early_pages += early;
	sending->shms->compared_pages += early;
	return 0;
}

int shms_send(struct source_shms *shms, struct sender *sender, struct mailbox *box,
	      struct error *err)
{
	for (size_t i = 0; i < shms->nr; i++) {
		const struct shm_sending sending = {
			.shms = shms, .shm = shms->list[i], .sender = sender, .box = box,
		};

		if (!shms->list[i]->gone && send_shm(&sending, err))
			return -1;
	}
	return 0;
}

int shms_mark(struct source_shms *shms, struct sender *sender, enum frame_kind kind,
	      struct error *err)
{
	for (size_t i = 0; i < shms->nr; i++)
		if (!shms->list[i]->gone &&
		    frame_send(sender->conn, kind,
			       FRAME_COOKIE(sender->round, shms->list[i]->object), NULL, 0, err))
			return -1;
	return 0;
}

int shms_send_lists(struct source_shms *shms, struct sender *sender, struct error *err)
{
	for (size_t i = 0; i < shms->nr; i++) {
		const struct shm_sending sending = {
			.shms = shms, .shm = shms->list[i], .sender = sender,
		};

		if (!shms->list[i]->gone &&
		    send_list(&sending, FRAME_POPULATED, &shms->list[i]->data, err))
			return -1;
	}
	return 0;
}
