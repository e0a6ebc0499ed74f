// SPDX-License-Identifier: GPL-2.0
#include "pages/sets.h"
#include "source/requests.h"
#include "source/sharers.h"

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
	for (uint32_t i = 0; i < frame->nr_runs; i++) {
		if (frame->runs[i].nr_pages > FRAME_REQUEST_PAGES)
			return error_set(err, CODE_PEER, NULL,
					 "the destination asked for %u pages at once", frame->runs[i].nr_pages);
		if (!source_mm_is_sent_as_pages(mm, &frame->runs[i]))
			return error_set(err, CODE_PEER, NULL,
					 "the destination asked for a page that was not announced: 0x%llx",
					 frame->runs[i].addr);
	}
	return 0;
}

/* ALSO may have named pages of @giver that did not come. */
static void forget_answered(const struct requests *requests, const struct source_mm *giver)
{
	struct source_mm *mm;

	requests->sender->gave_nothing = giver;
	tree_for_each_mm(requests->tree, mm)
		sets_clear(&mm->answered);
}

/* Return: -1 with @err when a page could not be read, and was not told as lost either */
static int send_part(struct requests *requests, struct source_mm *mm, const struct splice_vm_run *run,
		     struct error *err)
{
	struct sender *sender = requests->sender;

	/* before COMMIT pages are fetched for the images of one process, and others may not want any yet */
	if (sender->keeps_answered && sharers_send(requests->tree, sender, mm, run, 1, err))
		return -1;
	return sender_pages(sender, mm, run, 1, err);
}

/*
 * A page that the push took before may be on its way on the memory connection: until PUSHED it is not
 * for this thread to say that the page is lost. The destination asks again after PUSHED.
 */
static int send_run(struct requests *requests, struct source_mm *mm, uint64_t addr, uint64_t end,
		    struct error *err)
{
	bool committed = mailbox_is_committed(requests->box);
	struct splice_vm_run run = { .addr = addr };

	while (run.addr < end && !atomic_load(&mm->ended)) {
		uint64_t lost = requests->sender->lost;
		bool claimed;
		int ret;

		run.nr_pages = (end - run.addr) >> PAGE_SHIFT;
		/* before it is sent, so that the push does not send it as well */
		claimed = source_mm_claim_part(mm, &run);
		requests->sender->tells_lost = committed && (claimed || atomic_load(&mm->pushed));
		ret = send_part(requests, mm, &run, err);
		if (ret && (err->code == CODE_NETWORK || !committed))
			return -1;
		if (ret || requests->sender->lost != lost)
			forget_answered(requests, mm);
		*err = (struct error){ 0 };
		run.addr += (uint64_t)run.nr_pages << PAGE_SHIFT;
	}
	return 0;
}

/*
 * What was answered to another process at the same time is on its way over this connection, and the
 * destination asks for no page twice.
 */
static int send_unanswered(struct requests *requests, struct source_mm *mm,
			   const struct splice_vm_run *run, struct error *err)
{
	uint64_t addr = run->addr, end = addr + ((uint64_t)run->nr_pages << PAGE_SHIFT);
	struct run got;

	while (addr < end && page_set_next(&mm->answered, addr, end, 0, &got)) {
		if (addr < got.addr && send_run(requests, mm, addr, got.addr, err))
			return -1;
		addr = run_end(&got);
	}
	return addr < end ? send_run(requests, mm, addr, end, err) : 0;
}

static int answer(struct requests *requests, const struct frame *frame, struct error *err)
{
	struct source_mm *mm = find_mm(requests, frame, err);
	int ret = !mm || check_request(mm, frame, err) ? -1 : 0;

	requests->sender->keeps_answered = mailbox_is_committed(requests->box);
	for (uint32_t i = 0; i < frame->nr_runs && !ret; i++)
		ret = send_unanswered(requests, mm, &frame->runs[i], err);
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
