// SPDX-License-Identifier: GPL-2.0
#include "base/report.h"
#include "source/requests.h"

/* Return: the address space that the request names, or NULL with @err */
static struct source_mm *find_mm(const struct requests *requests, const struct frame *frame,
			  struct error *err)
{
	struct source_mm *mm;

	/* the main thread may change the list of processes at this moment */
	if (!atomic_load(&requests->tree->fixed)) {
		error_set(err, CODE_PEER, NULL,
			  "the destination asked for pages before it was told of them");
		return NULL;
	}
	mm = tree_find_mm(requests->tree, FRAME_OBJECT_OF(frame->cookie));
	if (frame->kind == FRAME_REQUEST && mm)
		return mm;
	error_set(err, CODE_PEER, NULL, "frame 0x%x of the destination on the urgent connection",
		  frame->kind);
	return NULL;
}

static int check_request(const struct source_mm *mm, const struct frame *frame, struct error *err)
{
	if (!atomic_load(&mm->final))
		return error_set(err, CODE_PEER, NULL,
				 "the destination asked for pages before it was told of them");
	for (uint32_t i = 0; i < frame->nr_runs; i++)
		if (!source_mm_is_sent_as_pages(mm, &frame->runs[i]))
			return error_set(err, CODE_PEER, NULL,
					 "the destination asked for a page that was not announced: 0x%llx",
					 frame->runs[i].addr);
	return 0;
}

static int answer(struct requests *requests, const struct frame *frame, struct error *err)
{
	struct source_mm *mm = find_mm(requests, frame, err);

	if (!mm || check_request(mm, frame, err))
		return -1;
	/* before it is sent, so that the push does not send it as well */
	source_mm_claim(mm, frame->runs, frame->nr_runs);
	if (!sender_pages(requests->sender, mm, frame->runs, frame->nr_runs, err))
		return 0;
	if (err->code == CODE_NETWORK || !mailbox_is_committed(requests->box))
		return -1;
	report_say("process %d waits for memory that is lost: %s", mm->pid, err->what);
	*err = (struct error){ 0 };
	return 0;
}

int requests_serve(struct requests *requests, struct error *err)
{
	struct frame frame = { 0 };
	int ret;

	do {
		ret = frame_recv(requests->sender->conn, -1, &frame, err);
		if (ret == 1 && answer(requests, &frame, err))
			ret = -1;
	} while (ret == 1);
	frame_free(&frame);
	return ret;
}
