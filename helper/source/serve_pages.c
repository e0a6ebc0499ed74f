// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "base/report.h"
#include "source/outgoing.h"

#define REASON_MS	500	/* the program stands meanwhile */
#define PUSH_RUNS	64
#define PUSH_PAGES	512UL	/* 2 MiB: what a request may have to share the link with */

/* All of the run is in mappings of the frozen program whose pages are sent. */
static bool is_announced(const struct vma_list *vmas, const struct splice_vm_run *run)
{
	uint64_t addr = run->addr, end = addr + ((uint64_t)run->nr_pages << PAGE_SHIFT);

	while (addr < end) {
		const struct vma *vma = maps_find(vmas, addr);

		/* of a vdso the destination writes images */
		if (!vma || !(vma_is_ours(vma) || vma->special))
			return false;
		addr = vma->end;
	}
	return true;
}

static int check_request(const struct outgoing *out, const struct frame *frame, struct error *err)
{
	if (!atomic_load(&out->memory.final))
		return error_set(err, CODE_PEER, NULL,
				 "the destination asked for pages before it was told of them");
	for (uint32_t i = 0; i < frame->nr_runs; i++)
		if (!is_announced(&out->task.vmas, &frame->runs[i]))
			return error_set(err, CODE_PEER, NULL,
					 "the destination asked for a page that was not announced: 0x%llx",
					 frame->runs[i].addr);
	return 0;
}

static int answer(struct outgoing *out, const struct frame *frame, struct error *err)
{
	if (frame->kind != FRAME_REQUEST || FRAME_MM_OF(frame->cookie) != out->urgent.mm)
		return error_set(err, CODE_PEER, NULL,
				 "frame 0x%x of the destination on the urgent connection",
				 frame->kind);
	if (check_request(out, frame, err))
		return -1;
	/* before it is sent, so that the push does not send it as well */
	pthread_mutex_lock(&out->left_lock);
	for (uint32_t i = 0; i < frame->nr_runs; i++)
		page_set_remove(&out->left, frame->runs[i].addr, frame->runs[i].nr_pages);
	pthread_mutex_unlock(&out->left_lock);
	out->figures.requests++;
	return sender_pages(&out->urgent, frame->runs, frame->nr_runs, err);
}

int outgoing_serve_requests(struct outgoing *out)
{
	struct frame frame = { 0 };
	struct error err = { 0 };
	int ret;

	do {
		ret = frame_recv(&out->urgent_conn, -1, &frame, &err);
		if (ret == 1 && answer(out, &frame, &err))
			ret = -1;
	} while (ret == 1);
	frame_free(&frame);
	if (ret < 0 && err.code != CODE_NETWORK)
		outgoing_fail(out, &err);
	return ret;
}

/*
 * The destination closes the connection when it has all. Before Started there is no reason to:
 * then its helper is dead, although something else there may keep control open.
 */
void *outgoing_urgent_run(void *ctx)
{
	struct outgoing *out = ctx;
	struct error err = { 0 };

	outgoing_serve_requests(out);
	/* control says why, at about the same time */
	mailbox_wait_failure(&out->box, REASON_MS);
	if (control_phase(out->ctl) < PHASE_STARTED) {
		error_set(&err, CODE_NETWORK, NULL, "link lost: the urgent connection was closed");
		outgoing_fail(out, &err);
	}
	return NULL;
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
		if (mailbox_failed(&out->box, err) || sender_pages(&out->memory, runs, nr, err))
			return -1;
		report_progress("sending the rest: %lu MiB left", still >> 8);
	}
	out->pushed = true;
	return sender_mark(&out->memory, FRAME_PUSHED, err);
}
