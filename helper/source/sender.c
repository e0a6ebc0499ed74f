// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include "backend/run_list.h"
#include "source/sender.h"

#define LIST_RUNS	512

int sender_init(struct sender *sender, const struct conn *conn, bool keeps_current,
		struct error *err)
{
	*sender = (struct sender){
		.conn = conn, .keeps_current = keeps_current, .also_max = FRAME_ALSO_RUNS_MAX,
	};
	sender->buf = malloc(FRAME_MAX_PAGES * PAGE_BYTES);
	return sender->buf ? 0 : error_errno(err, CODE_INTERNAL, NULL, "no memory to copy pages");
}

void sender_destroy(struct sender *sender)
{
	free(sender->buf);
	sender->buf = NULL;
}

static uint64_t cookie(const struct sender *sender, const struct source_mm *mm)
{
	return FRAME_COOKIE(sender->round, mm->object);
}

int sender_mark(struct sender *sender, struct source_mm *mm, enum frame_kind kind,
		struct error *err)
{
	if (sender->ops)
		return sender->ops->mark(sender, mm, kind, err);
	/* the answer may be here before the call has returned */
	if (kind == FRAME_FINAL)
		atomic_store(&mm->final, true);
	if (kind == FRAME_PUSHED)
		atomic_store(&mm->pushed, true);
	if (kind == FRAME_ENDED)
		atomic_store(&mm->ended, true);
	return frame_send(sender->conn, kind, cookie(sender, mm), NULL, 0, err);
}

static int update_current(struct source_mm *mm, enum frame_kind kind, const struct splice_vm_run *run,
			  struct error *err)
{
	if (kind == FRAME_PAGES || kind == FRAME_COPY)
		return page_set_add(&mm->dest_current, run->addr, run->nr_pages, err);
	if (kind != FRAME_POPULATED)
		page_set_remove(&mm->dest_current, run->addr, run->nr_pages);
	return 0;
}

static int keep_current(struct sender *sender, struct source_mm *mm, enum frame_kind kind,
			const struct splice_vm_run *run, struct error *err)
{
	int ret;

	if (sender->keeps_answered && page_set_add(&mm->answered, run->addr, run->nr_pages, err))
		return -1;
	if (!sender->keeps_current)
		return 0;
	if (sender->sets)
		pthread_mutex_lock(sender->sets);
	ret = update_current(mm, kind, run, err);
	if (sender->sets)
		pthread_mutex_unlock(sender->sets);
	return ret;
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

int sender_list(struct sender *sender, struct source_mm *mm, enum frame_kind kind,
		const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err)
{
	if (sender->ops)
		return sender->ops->list(sender, mm, kind, runs, nr_runs, err);
	while (nr_runs) {
		uint32_t nr = ascending(runs, nr_runs);

		if (frame_send(sender->conn, kind, cookie(sender, mm), runs, nr, err))
			return -1;
		for (uint32_t i = 0; i < nr; i++)
			if (keep_current(sender, mm, kind, &runs[i], err))
				return -1;
		runs += nr;
		nr_runs -= nr;
	}
	return 0;
}

int sender_set(struct sender *sender, struct source_mm *mm, enum frame_kind kind,
	       const struct page_set *set, struct error *err)
{
	struct splice_vm_run runs[LIST_RUNS];
	uint64_t at = 0;
	uint32_t nr;

	while ((nr = runs_take(set, &at, runs, LIST_RUNS, UINT32_MAX)))
		if (sender_list(sender, mm, kind, runs, nr, err))
			return -1;
	return 0;
}

int sender_also(struct sender *sender, const struct source_mm *giver, struct source_mm *mm,
		const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err)
{
	if (sender->ops)
		return sender->ops->also(sender, giver, mm, runs, nr_runs, err);
	if (frame_send(sender->conn, FRAME_ALSO, FRAME_ALSO_COOKIE(giver->object, mm->object), runs,
		       nr_runs, err))
		return -1;
	for (uint32_t i = 0; i < nr_runs; i++) {
		if (keep_current(sender, mm, FRAME_PAGES, &runs[i], err))
			return -1;
		sender->inherited += runs[i].nr_pages;
	}
	return 0;
}

/** struct sending - one call of sender_pages() */
struct sending {
	struct sender *sender;
	struct source_mm *mm;
};

static int lost_page(struct sending *sending, const struct splice_vm_run *run, struct error *err)
{
	if (sending->sender->tells_lost) {
		sending->sender->lost += run->nr_pages;
		return sender_list(sending->sender, sending->mm, FRAME_LOST, run, 1, err);
	}
	if (sending->sender->frozen)
		return error_set(err, CODE_TARGET, NULL,
				 "memory at 0x%llx of the stopped program cannot be read",
				 run->addr);
	return sender_list(sending->sender, sending->mm, FRAME_DROPPED, run, 1, err);
}

static int send_copy(struct sending *sending, const struct splice_vm_run *run, struct error *err)
{
	struct sender *sender = sending->sender;

	if (packer_send(compress_packer(sender->compress), sender->conn, cookie(sender, sending->mm), run, 1,
			sender->buf, err) ||
	    keep_current(sender, sending->mm, FRAME_PAGES, run, err))
		return -1;
	sender->pages += run->nr_pages;
	sender->copied += run->nr_pages;
	sender->bytes += run->nr_pages * PAGE_BYTES;
	return 0;
}

static int copy_run(struct sending *sending, const struct splice_vm_run *run, struct error *err)
{
	struct backend *backend = sending->mm->backend;
	struct splice_vm_run piece = { .addr = run->addr };
	uint32_t left = run->nr_pages;
	int ret = 0;

	while (left && !ret) {
		uint32_t nr = left < FRAME_MAX_PAGES ? left : FRAME_MAX_PAGES;
		size_t done;

		if (backend->ops->read(backend, piece.addr, sending->sender->buf, nr * PAGE_BYTES,
				       &done, err))
			return -1;
		piece.nr_pages = done >> PAGE_SHIFT;
		if (piece.nr_pages) {
			ret = send_copy(sending, &piece, err);
		} else {
			/* this page is gone; the pages behind it may not be */
			piece.nr_pages = 1;
			ret = lost_page(sending, &piece, err);
		}
		piece.addr += (uint64_t)piece.nr_pages << PAGE_SHIFT;
		left -= piece.nr_pages;
	}
	return ret;
}

static int take_results(void *ctx, const struct splice_vm_run *runs, uint32_t nr,
			struct error *err)
{
	struct sending *sending = ctx;
	int ret = 0;

	for (uint32_t i = 0; i < nr && !ret; i++) {
		const struct splice_vm_run *run = &runs[i];

		if (run->flags & SPLICE_VM_RUN_SENT) {
			ret = keep_current(sending->sender, sending->mm, FRAME_PAGES, run, err);
		} else if (run->flags & SPLICE_VM_RUN_SLOW) {
			ret = copy_run(sending, run, err);
		} else if (run->flags & SPLICE_VM_RUN_IS_ZERO) {
			sending->sender->zero += run->nr_pages;
			ret = sender_list(sending->sender, sending->mm, FRAME_ZERO, run, 1, err);
		} else {
			ret = lost_page(sending, run, err);
		}
	}
	return ret;
}

/*
 * The backend has failed in the middle, and has sent whole frames: a page that it sent comes twice,
 * which is no harm. One page at a time is read here, so that no page is lost for its neighbour's sake.
 */
static int rescue(struct sending *sending, const struct splice_vm_run *runs, uint32_t nr_runs,
		  struct error *err)
{
	struct backend *backend = sending->mm->backend;

	for (uint32_t i = 0; i < nr_runs; i++) {
		for (uint32_t page = 0; page < runs[i].nr_pages; page++) {
			const struct splice_vm_run one = {
				.addr = runs[i].addr + page * PAGE_BYTES, .nr_pages = 1,
			};

			if (backend->ops->is_gone(backend)) {
				sending->sender->lost++;
				return sender_mark(sending->sender, sending->mm, FRAME_ENDED, err);
			}
			if (!copy_run(sending, &one, err))
				continue;
			if (err->code == CODE_NETWORK)
				return -1;
			*err = (struct error){ 0 };
			if (lost_page(sending, &one, err))
				return -1;
		}
	}
	return 0;
}

int sender_pages(struct sender *sender, struct source_mm *mm, const struct splice_vm_run *runs,
		 uint32_t nr_runs, struct error *err)
{
	struct sending sending = { .sender = sender, .mm = mm };
	struct backend_send send = {
		.conn = sender->conn, .cookie = cookie(sender, mm), .buf = sender->buf,
		.packer = compress_packer(sender->compress),
	};
	const struct compress_mark mark = compress_begin(sender->compress, sender->bytes);
	uint64_t carried;
	int ret;

	if (sender->ops)
		return sender->ops->pages(sender, mm, runs, nr_runs, err);
	if (!sender->tells_lost && frame_check_key(sender->conn, 0, err))
		return -1;
	ret = mm->backend->ops->send(mm->backend, &send, runs, nr_runs, take_results, &sending,
					 err);

	sender->pages += send.pages;
	sender->copied += send.copied;
	sender->bytes += send.bytes;
	carried = compress_end(sender->compress, &mark, sender->bytes);
	sender->carried += carried;
	pace_sent(sender->pace, carried);
	if (!ret || !sender->tells_lost || err->code == CODE_NETWORK)
		return ret;
	*err = (struct error){ 0 };
	return rescue(&sending, runs, nr_runs, err);
}

void sender_end_round(struct sender *sender)
{
	if (sender->ops)
		sender->ops->end_round(sender);
	else
		compress_end_round(sender->compress);
}

int sender_end(struct sender *sender, enum frame_kind kind, struct error *err)
{
	return sender->ops ? sender->ops->end(sender, kind, err) : 0;
}

struct sender *sender_at(struct sender *sender, uint64_t addr)
{
	return sender->ops ? sender->ops->at(sender, addr) : sender;
}

uint64_t sender_pages_at(const struct sender *sender, uint64_t addr, uint64_t nr_pages)
{
	return sender->ops ? sender->ops->pages_at(sender, addr, nr_pages) : nr_pages;
}

unsigned int sender_width(const struct sender *sender)
{
	return sender->ops ? sender->ops->width(sender) : 1;
}
