// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "source/outgoing.h"
#include "ui/report.h"

#define PUSH_RUNS	64
#define PUSH_PAGES	512UL	/* 2 MiB: what a request may have to share the link with */

static int answer(struct outgoing *out, const struct frame *frame, struct error *err)
{
	if (frame->kind != FRAME_REQUEST || FRAME_MM_OF(frame->cookie) != out->urgent.mm)
		return error_set(err, CODE_PEER, NULL,
				 "frame 0x%x of the destination on the urgent connection",
				 frame->kind);
	/* before it is sent, so that the push does not send it as well */
	pthread_mutex_lock(&out->left_lock);
	for (uint32_t i = 0; i < frame->nr_runs; i++)
		page_set_remove(&out->left, frame->runs[i].addr, frame->runs[i].nr_pages);
	pthread_mutex_unlock(&out->left_lock);
	out->figures.requests++;
	return sender_pages(&out->urgent, frame->runs, frame->nr_runs, err);
}

void outgoing_urgent_run(struct outgoing *out)
{
	struct frame frame = { 0 };
	struct error err = { 0 };
	int ret;

	do {
		ret = frame_recv(out->urgent_fd, -1, &frame, &err);
		if (ret == 1 && answer(out, &frame, &err))
			ret = -1;
	} while (ret == 1);
	frame_free(&frame);
	/*
	 * A connection that ended is no failure by itself: the destination closes it when it
	 * has all, and a lost link shows on control.
	 */
	if (ret < 0 && err.code != CODE_NETWORK)
		outgoing_fail(out, &err);
}

static uint32_t take_left(struct outgoing *out, uint64_t *at, struct splice_vm_run *runs,
			  uint64_t *still)
{
	uint32_t nr;

	pthread_mutex_lock(&out->left_lock);
	nr = sender_take(&out->left, at, runs, PUSH_RUNS, PUSH_PAGES);
	for (uint32_t i = 0; i < nr; i++)
		page_set_remove(&out->left, runs[i].addr, runs[i].nr_pages);
	*still = out->left.nr;
	pthread_mutex_unlock(&out->left_lock);
	return nr;
}

int outgoing_push(struct outgoing *out, struct error *err)
{
	struct splice_vm_run runs[PUSH_RUNS];
	uint64_t at = 0, still;
	uint32_t nr;

	if (out->pushed)
		return 0;
	while ((nr = take_left(out, &at, runs, &still))) {
		if (outgoing_failed(out, err) || sender_pages(&out->memory, runs, nr, err))
			return -1;
		report_progress("sending the rest: %lu MiB left", still >> 8);
	}
	out->pushed = true;
	return sender_mark(&out->memory, FRAME_PUSHED, err);
}
