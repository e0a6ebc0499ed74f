// SPDX-License-Identifier: GPL-2.0
#include "base/report.h"
#include "source/push.h"
#include "source/sharers.h"

#define PUSH_RUNS	64	/* for each stream */
#define PUSH_PAGES	512UL	/* 2 MiB: what a request may have to share the link with */

/* Return: 0 when PUSHED was sent, whatever could not be read; before COMMIT that is a failure */
static int push_mm(struct push *push, struct source_mm *mm, struct error *err)
{
	struct splice_vm_run runs[PUSH_RUNS * STREAMS_MAX];
	unsigned int width = sender_width(push->sender);
	uint64_t at = 0, still;
	uint32_t nr;

	push->sender->tells_lost = mailbox_is_committed(push->box);
	while (!atomic_load(&mm->ended) &&
	       (nr = source_mm_take_unsent(mm, &at, runs, width * PUSH_RUNS,
					    sender_most(push->sender, width * PUSH_PAGES), &still))) {
		if (mailbox_failed(push->box, err) ||
		    sharers_send(push->tree, push->sender, mm, runs, nr, err) ||
		    sender_pages(push->sender, mm, runs, nr, err))
			return -1;
		report_progress("sending the rest: %lu MiB left", still >> 8);
	}
	return sender_mark(push->sender, mm, FRAME_PUSHED, err);
}

int push_run(struct push *push, struct error *err)
{
	struct source_mm *mm;

	if (push->done)
		return 0;
	tree_for_each_mm(push->tree, mm)
		if (push_mm(push, mm, err))
			return -1;
	push->done = true;
	return 0;
}
