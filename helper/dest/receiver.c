// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "dest/inherit.h"
#include "dest/late_pages.h"
#include "dest/lost_pages.h"
#include "dest/receiver.h"
#include "wire/conn.h"

static const char *conn_name(const struct receiver *receiver)
{
	return receiver->urgent ? "urgent" : "memory";
}

static int refuse_frame(const struct receiver *receiver, const struct frame *frame,
			const char *why, struct error *err)
{
	return error_set(err, CODE_PEER, NULL, "frame 0x%x on the %s connection: %s",
			 frame->kind, conn_name(receiver), why);
}

/*
 * By the kernel, which says EFAULT where a file system, or the pool of huge pages, is full: a write of this program would
 * be a SIGBUS.
 */
static int copy_in(void *to, const void *from, size_t bytes, struct error *err)
{
	const struct iovec there = { to, bytes }, here = { (void *)from, bytes };

	return process_vm_writev(getpid(), &here, 1, &there, 1, 0) == (ssize_t)bytes ? 0 :
	       error_set(err, CODE_REFUSED, "free memory there, or move the program elsewhere",
			 "there is no memory for pages that come: a file system, or the pool of huge pages, is full");
}

/* @pages: of a compressed frame; NULL: they are still on the connection */
static int receive_bytes(struct receiver *receiver, const struct mirror_windows *windows,
			 const struct frame *frame, const uint8_t *pages, struct error *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < frame->nr_runs && !ret; i++) {
		const struct splice_vm_run *run = &frame->runs[i];
		void *to = mirror_windows_at(windows, run->addr, run->nr_pages);

		if (!to) {
			ret = refuse_frame(receiver, frame, "a run lies in no window of the mirror", err);
		} else if (pages) {
			ret = copy_in(to, pages, run->nr_pages * PAGE_BYTES, err);
			pages += run->nr_pages * PAGE_BYTES;
		} else {
			ret = conn_read(receiver->conn, to, run->nr_pages * PAGE_BYTES, 0, err);
		}
	}
	return ret;
}

static int expand(struct receiver *receiver, const struct mirror_windows *windows,
		  const struct frame *frame, struct error *err)
{
	if (unpacker_expand(&receiver->unpacker, frame, receiver->pages, err))
		return -1;
	return receive_bytes(receiver, windows, frame, receiver->pages, err);
}

/* All pages of the frame, to receiver.pages. */
static int receive_aside(struct receiver *receiver, const struct frame *frame, struct error *err)
{
	if (frame->kind == FRAME_PACKED)
		return unpacker_expand(&receiver->unpacker, frame, receiver->pages, err);
	return conn_read(receiver->conn, receiver->pages, frame->nr_pages * PAGE_BYTES, 0, err);
}

/* Frames of an address space that has ended since they were sent. */
static int discard(struct receiver *receiver, const struct frame *frame, struct error *err)
{
	if (!frame_has_pages(frame))
		return 0;
	if (frame->nr_pages > FRAME_MAX_PAGES)
		return refuse_frame(receiver, frame, "too many pages", err);
	return receive_aside(receiver, frame, err);
}

/* Before FINAL a page goes straight to its place in the mirror. */
static int receive_into_place(struct receiver *receiver, struct mm *mm,
			      const struct frame *frame, struct error *err)
{
	struct mirror_windows *windows;
	struct error ignored = { 0 };
	int gone = mm_begin_receive(mm, frame->runs, frame->nr_runs, &windows, err);

	if (gone)
		return gone < 0 ? -1 : discard(receiver, frame, err);
	if (frame->kind == FRAME_PACKED ? expand(receiver, windows, frame, err) :
	    receive_bytes(receiver, windows, frame, NULL, err)) {
		mm_end_receive(mm, windows, NULL, 0, &ignored);
		return -1;
	}
	if (mm_end_receive(mm, windows, frame->runs, frame->nr_runs, err))
		return -1;
	atomic_fetch_add(&receiver->precopy_pages, frame->nr_pages);
	return 0;
}

/* After FINAL a page goes at once to each task that lacks the page: dest/late_pages.h. */
static int receive_late(struct receiver *receiver, struct mm *mm, const struct frame *frame,
			struct error *err)
{
	const uint8_t *data = receiver->pages;

	if (receive_aside(receiver, frame, err))
		return -1;
	for (uint32_t i = 0; i < frame->nr_runs; i++) {
		const struct splice_vm_run *run = &frame->runs[i];

		if (late_pages_take(mm, run->addr, run->nr_pages, data, receiver->urgent, err) ||
		    also_take(&receiver->also, mm, run, data, receiver->urgent, err))
			return -1;
		data += run->nr_pages * PAGE_BYTES;
	}
	return 0;
}

static int receive_pages(struct receiver *receiver, struct mm *mm, const struct frame *frame,
			 struct error *err)
{
	int ret;

	if (frame->nr_pages > FRAME_MAX_PAGES)
		return refuse_frame(receiver, frame, "too many pages", err);
	ret = receiver->final ? receive_late(receiver, mm, frame, err) :
	      receive_into_place(receiver, mm, frame, err);
	atomic_fetch_add(&receiver->bytes, frame->nr_pages * PAGE_BYTES);
	return ret;
}

static int take_zeros(struct receiver *receiver, struct mm *mm, const struct frame *frame,
		      struct error *err)
{
	for (uint32_t i = 0; i < frame->nr_runs; i++)
		if (late_pages_take(mm, frame->runs[i].addr, frame->runs[i].nr_pages, NULL,
				receiver->urgent, err) ||
		    also_take(&receiver->also, mm, &frame->runs[i], NULL, receiver->urgent, err))
			return -1;
	return 0;
}

static int end_lists(struct receiver *receiver, struct error *err)
{
	uint64_t have, lack;

	place_progress(receiver->place);
	objects_final(receiver->objects, &have, &lack);
	return receiver->hooks.final(receiver->hooks.ctx, have, lack, err);
}

static int end_round(struct receiver *receiver, uint32_t round, struct error *err)
{
	objects_begin_round(receiver->objects);
	return receiver->hooks.round(receiver->hooks.ctx, round, err);
}

/* All streams have brought all of it. */
static int meet(void *ctx, uint32_t round, struct error *err)
{
	return round == BARRIER_FINAL ? end_lists(ctx, err) : end_round(ctx, round, err);
}

/* Nothing more comes over this stream until the others have come to here too. */
static int end_stream(struct receiver *receiver, uint32_t round, struct error *err)
{
	if (receiver->barrier ? barrier_arrive(receiver->barrier, receiver->stream, round, meet, receiver, err) :
				meet(receiver, round, err))
		return -1;
	if (round == BARRIER_FINAL)
		receiver->final = true;
	else
		receiver->round = round;
	return 0;
}

/* FINAL of one mm: of the last one, all lists are there. */
static int take_final(struct receiver *receiver, struct mm *mm, struct error *err)
{
	mm->listed = true;
	return objects_are_listed(receiver->objects) ? end_stream(receiver, BARRIER_FINAL, err) : 0;
}

/* ROUND of one mm: of the last one, the round is over. */
static int take_round(struct receiver *receiver, struct mm *mm, uint32_t round, struct error *err)
{
	mm->round = round;
	return objects_end_round(receiver->objects, round) ? end_stream(receiver, round, err) : 0;
}

/* What the first stream says of each object, the others say of all of them together. */
static int take_end(struct receiver *receiver, const struct frame *frame, struct error *err)
{
	bool final = frame->kind == FRAME_FINAL;
	uint32_t round = final ? BARRIER_FINAL : FRAME_ROUND_OF(frame->cookie);

	if (!receiver->stream || receiver->final || (!final && frame->kind != FRAME_ROUND))
		return refuse_frame(receiver, frame, "of an object that was not announced", err);
	if (!final && (round != receiver->round + 1 || round > ROUNDS_MAX + 1))
		return refuse_frame(receiver, frame, "the end of a round that does not run", err);
	if (receiver->hooks.gate(receiver->hooks.ctx, final ? RECEIVE_FROZEN : round, err))
		return -1;
	return end_stream(receiver, round, err);
}

static int frame_before_final(struct receiver *receiver, struct mm *mm,
			      const struct frame *frame, struct error *err)
{
	uint32_t round = FRAME_ROUND_OF(frame->cookie), wait_for = round;

	/* a DROPPED between two rounds has the number of the earlier one */
	if (round != receiver->round && round != receiver->round + 1)
		return refuse_frame(receiver, frame, "of a round that does not run", err);
	if (round > ROUNDS_MAX + 1)
		return refuse_frame(receiver, frame, "too many rounds", err);
	if (!receiver->stream && mm->listed)
		return refuse_frame(receiver, frame, "not expected after FINAL", err);
	if (receiver->stream && (frame->kind == FRAME_ROUND || frame->kind == FRAME_FINAL))
		return refuse_frame(receiver, frame, "of one object, on another stream than the first", err);
	/* these frames need the mappings that control announces after the last round */
	if (frame->kind == FRAME_POPULATED || frame->kind == FRAME_FINAL)
		wait_for = RECEIVE_FROZEN;
	if (receiver->hooks.gate(receiver->hooks.ctx, wait_for, err))
		return -1;
	if (mm_is_gone(mm))
		return discard(receiver, frame, err);
	switch (frame->kind) {
	case FRAME_PAGES:
	case FRAME_PACKED:
		return receive_pages(receiver, mm, frame, err);
	case FRAME_ZERO:
	case FRAME_DROPPED:
	case FRAME_STALE:
		/* may lie outside of the mappings: unmapping drops pages */
		mm_drop(mm, frame->runs, frame->nr_runs);
		return 0;
	case FRAME_COPY:
		return inherit_copy(mm, frame->runs, frame->nr_runs, receiver->pages, err);
	case FRAME_POPULATED:
		return mm_populate(mm, frame->runs, frame->nr_runs, err);
	case FRAME_ROUND:
		if (round != receiver->round + 1 || mm->round == round)
			return refuse_frame(receiver, frame, "the end of a round that does not run",
					    err);
		return take_round(receiver, mm, round, err);
	case FRAME_FINAL:
		return take_final(receiver, mm, err);
	default:
		return refuse_frame(receiver, frame, "not expected before FINAL", err);
	}
}

/* What came meanwhile is not lost. */
static int take_lost(struct receiver *receiver, struct mm *mm, const struct frame *frame,
		     struct error *err)
{
	uint64_t nr_pages;
	int ret = lost_pages_take(mm, receiver->urgent, frame->runs, frame->nr_runs, &nr_pages,
				  err);

	if (!ret && nr_pages)
		receiver->hooks.lost(receiver->hooks.ctx, mm, nr_pages);
	return ret;
}

static int take_ended(struct receiver *receiver, struct mm *mm, struct error *err)
{
	uint64_t nr_pages;
	/* other streams may still have, until PUSHED, pages of the process */
	bool early = receiver->urgent || receiver->barrier;
	int ret = lost_pages_end(mm, early, &nr_pages, err);

	if (!ret && nr_pages)
		receiver->hooks.lost(receiver->hooks.ctx, mm, nr_pages);
	return ret;
}

static int take_pushed(struct receiver *receiver, struct mm *mm, struct error *err)
{
	int all = late_pages_pushed(mm, receiver->stream, receiver->barrier ? receiver->barrier->nr : 1, err);

	if (all <= 0)
		return all;
	return mm->end_said ? take_ended(receiver, mm, err) : 0;
}

static int take_also(struct receiver *receiver, struct mm *mm, const struct frame *frame,
		     struct error *err)
{
	struct mm *giver = objects_mm(receiver->objects, FRAME_GIVER_OF(frame->cookie));

	if (!giver || giver == mm || !mm_is_final(giver))
		return refuse_frame(receiver, frame, "of pages of an object that sends none", err);
	return also_add(&receiver->also, giver, mm, frame->runs, frame->nr_runs, err);
}

static int frame_after_final(struct receiver *receiver, struct mm *mm,
			     const struct frame *frame, struct error *err)
{
	/* urgent carries requested pages only, and requests begin after FINAL; what is gone had none */
	if (!mm_is_final(mm))
		return refuse_frame(receiver, frame, "not expected before FINAL", err);
	/* it is complete at FINAL, and may be the program's memory already */
	if (mm->shm)
		return refuse_frame(receiver, frame, "of shared memory after FINAL", err);
	switch (frame->kind) {
	case FRAME_PAGES:
	case FRAME_PACKED:
		return receive_pages(receiver, mm, frame, err);
	case FRAME_ZERO:
		return take_zeros(receiver, mm, frame, err);
	case FRAME_ALSO:
		return take_also(receiver, mm, frame, err);
	case FRAME_PUSHED:
		if (receiver->urgent)
			break;
		return take_pushed(receiver, mm, err);
	case FRAME_LOST:
		return take_lost(receiver, mm, frame, err);
	case FRAME_ENDED:
		return take_ended(receiver, mm, err);
	default:
		break;
	}
	return refuse_frame(receiver, frame, "not expected after FINAL", err);
}

int receiver_frame(struct receiver *receiver, const struct frame *frame, struct error *err)
{
	struct mm *mm = objects_mm(receiver->objects, FRAME_OBJECT_OF(frame->cookie));

	if (FRAME_OBJECT_OF(frame->cookie) == FRAME_ALL_OBJECTS)
		return take_end(receiver, frame, err);
	if (!mm)
		return refuse_frame(receiver, frame, "of an object that was not announced", err);
	/* off the connection first: a source that is slow in the middle of a frame holds no window */
	if (frame->kind == FRAME_PACKED && unpacker_recv(&receiver->unpacker, receiver->conn, frame, err))
		return -1;
	return receiver->final ? frame_after_final(receiver, mm, frame, err) :
	       frame_before_final(receiver, mm, frame, err);
}

int receiver_run(struct receiver *receiver, struct error *err)
{
	struct frame frame = { 0 };
	int ret;

	/* requests begin after FINAL, so all pages over urgent are late */
	receiver->final = receiver->urgent;
	receiver->pages = malloc(FRAME_MAX_PAGES * PAGE_BYTES);
	if (!receiver->pages)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory to receive into");
	ret = unpacker_init(&receiver->unpacker, err) ? -1 : 1;
	while (ret == 1) {
		ret = frame_recv(receiver->conn, -1, &frame, err);
		if (ret == 1 && receiver_frame(receiver, &frame, err))
			ret = -1;
	}
	unpacker_destroy(&receiver->unpacker);
	frame_free(&frame);
	also_free(&receiver->also);
	free(receiver->pages);
	receiver->pages = NULL;
	return ret;
}
