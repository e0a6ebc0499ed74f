// SPDX-License-Identifier: GPL-2.0
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

/*
 * A page that the push took before may be on its way on the memory connection: until PUSHED it is not
 * for this thread to say that the page is lost. The destination asks again after PUSHED.
 */
static int send_run(struct requests *requests, struct source_mm *mm, struct splice_vm_run run,
		    struct error *err)
{
	bool committed = mailbox_is_committed(requests->box);
	uint32_t left = run.nr_pages;

	while (left && !atomic_load(&mm->ended)) {
		bool claimed;

		run.nr_pages = left;
		/* before it is sent, so that the push does not send it as well */
		claimed = source_mm_claim_part(mm, &run);
		requests->sender->tells_lost = committed && (claimed || atomic_load(&mm->pushed));
		if (sender_pages(requests->sender, mm, &run, 1, err)) {
			if (err->code == CODE_NETWORK || !committed)
				return -1;
			*err = (struct error){ 0 };
		}
		run.addr += (uint64_t)run.nr_pages << PAGE_SHIFT;
		left -= run.nr_pages;
	}
	return 0;
}

static int answer(struct requests *requests, const struct frame *frame, struct error *err)
{
	struct source_mm *mm = find_mm(requests, frame, err);
	int ret = !mm || check_request(mm, frame, err) ? -1 : 0;

	for (uint32_t i = 0; i < frame->nr_runs && !ret; i++)
		ret = send_run(requests, mm, frame->runs[i], err);
	return ret;
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
