// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include "backend/run_list.h"
#include "base/clock.h"
#include "base/report.h"
#include "base/text.h"
#include "source/announce.h"
#include "source/choose.h"
#include "source/parts.h"
#include "source/precopy.h"
#include "source/precopy_scan.h"
#include "source/scan.h"
#include "source/setup.h"
#include "source/shm_send.h"

#define SEND_RUNS	512
#define SEND_PAGES	16384UL		/* 64 MiB: how often the progress line moves */
#define ACK_TIMEOUT_MS	120000
#define COPIES_PER_MS	25	/* 100 MB/s, a tenth of what memory takes on a slow machine */
#define THROTTLE_ROUNDS	3	/* more, for each step */
#define SURPRISE_PAGES	4096UL	/* 16 MiB */
#define SHARED_ROUNDS	3
#define SHARED_ENOUGH	2048UL	/* pages: a round that sent fewer is the last one */

static uint64_t dirty_pages(const struct precopy *pre)
{
	const struct source_mm *mm;
	uint64_t pages = 0;

	tree_for_each_mm(pre->tree, mm)
		pages += mm->dirty.nr;
	return pages;
}

/* @sent: pages that the round is about */
static int begin_round(struct precopy *pre, uint32_t round, uint64_t sent, struct error *err)
{
	Migrate__RoundBegin begin = MIGRATE__ROUND_BEGIN__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	uint64_t pages = shms_pages(pre->shms);
	struct source_mm *mm;

	tree_for_each_mm(pre->tree, mm) {
		mm->begun = true;
		if (pre->mode != MODE_POSTCOPY)
			pages += source_mm_pages_with(mm, &mm->dirty);
	}
	if (announce_memory(pre->ctl, pages, err))
		return -1;
	begin.round = round;
	begin.pages = sent;
	msg.body_case = MIGRATE__CONTROL__BODY_ROUND_BEGIN;
	msg.round_begin = &begin;
	return control_send(pre->ctl, &msg, err);
}

int precopy_ack_ms(uint64_t copies)
{
	uint64_t ms = ACK_TIMEOUT_MS + copies / COPIES_PER_MS;

	return ms < INT_MAX ? ms : INT_MAX;
}

static int wait_ack(struct precopy *pre, uint32_t round, uint64_t copies, struct error *err)
{
	Migrate__Control *msg = mailbox_expect(pre->box, MIGRATE__CONTROL__BODY_ROUND_ACK,
					       precopy_ack_ms(copies), err);
	uint32_t acked;

	if (!msg)
		return -1;
	acked = msg->round_ack->round;
	migrate__control__free_unpacked(msg, NULL);
	return acked == round ? 0 :
	       error_set(err, CODE_PEER, NULL, "the destination acknowledged round %u, not %u",
			 acked, round);
}

/**
 * struct progress - of one round, in pages
 * @put_off: are hot, and wait
 * @begin_ns: when it began
 * @parts: pages were taken by parts
 */
struct progress {
	uint64_t done, all, put_off, begin_ns;
	bool parts;
};

static void say_progress(const struct precopy *pre, const struct progress *progress)
{
	const struct figures *figures = pre->figures;
	const struct round_figures *last = figures->nr_rounds ? &figures->rounds[figures->nr_rounds - 1] : NULL;
	double s = (clock_now_ns() - progress->begin_ns) / 1e9 + 1e-9;
	char outlook[80] = "";

	if (last)
		snprintf(outlook, sizeof(outlook), "; written %.0f MiB/s, %lu ms expected",
			 figures_dirty_rate(last), last->stands_ns / 1000000);
	report_progress("round %u: %lu of %lu MiB, %.0f MiB/s%s", pre->sender->round, progress->done >> 8,
			progress->all >> 8, progress->done / 256.0 / s, outlook);
}

/* A program that writes less from now on has no hot pages: nobody knows yet which it will write. */
static int put_off_hot(const struct precopy *pre, struct source_mm *mm, uint64_t at, uint64_t end,
		       struct progress *progress, struct error *err)
{
	uint64_t nr = 0;

	if (pre->throttle && pre->throttle->percentage)
		return 0;
	if (source_mm_put_off_hot(mm, at, end, &nr, err))
		return -1;
	progress->all -= nr;
	progress->put_off += nr;
	return 0;
}

/* Of the pages from @at to below @end. */
static int send_dirty(struct precopy *pre, struct source_mm *mm, uint64_t at, uint64_t end,
		      struct progress *progress, struct error *err)
{
	struct splice_vm_run runs[SEND_RUNS];
	uint32_t nr;

	if (put_off_hot(pre, mm, at, end, progress, err))
		return -1;
	while ((nr = runs_take_below(&mm->dirty, &at, end, runs, SEND_RUNS,
				     sender_most(pre->sender, SEND_PAGES)))) {
		if (mailbox_failed(pre->box, err) || sender_pages(pre->sender, mm, runs, nr, err))
			return -1;
		for (uint32_t i = 0; i < nr; i++)
			progress->done += runs[i].nr_pages;
		say_progress(pre, progress);
	}
	return 0;
}

static int send_parts(struct precopy *pre, struct source_mm *mm, struct progress *progress,
		      struct error *err)
{
	struct parts parts;

	parts_begin(&parts, mm);
	while (parts.end < USER_END) {
		progress->all -= mm->dirty.nr;
		if (parts_next(&parts, pre->sender, err))
			return -1;
		progress->all += mm->dirty.nr;
		if (send_dirty(pre, mm, parts.start, parts.end, progress, err))
			return -1;
	}
	progress->parts = true;
	return 0;
}

/* The destination waits for the end of the round of each object, ended or not. */
static int send_process(struct precopy *pre, struct source_process *process,
			struct progress *progress, struct error *err)
{
	struct source_mm *mm = &process->mm;

	if (inherit_send(&process->inherit, mm, pre->sender, err))
		return -1;
	progress->done += process->inherit.shared.nr;
	if ((mm->by_parts ? send_parts(pre, mm, progress, err) :
			    send_dirty(pre, mm, 0, USER_END, progress, err)) &&
	    !tree_forgive(pre->tree, process, err))
		return -1;
	return sender_mark(pre->sender, mm, FRAME_ROUND, err);
}

static int send_shared(struct precopy *pre, struct error *err)
{
	uint64_t before = pre->shms->rounds_pages;

	if (shms_send(pre->shms, pre->sender, pre->box, err))
		return -1;
	pre->shared_pages = pre->shms->rounds_pages - before;
	return shms_mark(pre->shms, pre->sender, FRAME_ROUND, err) || sender_end(pre->sender, FRAME_ROUND, err) ? -1 : 0;
}

/* A short round says more of the latency than of the link. */
static void measure(struct precopy *pre, uint64_t bytes, uint64_t ns)
{
	double now = bytes / (ns / 1e9);

	if (bytes > (1 << 20) || !pre->bytes_per_s)
		pre->bytes_per_s = pre->bytes_per_s ? (pre->bytes_per_s + now) / 2 : now;
}

/* Whatever is written to files from now on is for the next sync, as pages are. */
static int sync_files(struct precopy *pre, struct round_figures *figures, struct error *err)
{
	const struct syncfs *sync = pre->sync;

	if (!sync)
		return 0;
	if (syncfs_wait(pre->sync, err))
		return -1;
	figures->synced_bytes = pre->rule.files_bytes = sync->bytes;
	figures->synced_ns = pre->rule.files_ns = sync->ns;
	return 0;
}

static int send_round(struct precopy *pre, uint32_t round, struct error *err)
{
	struct progress progress = { .all = dirty_pages(pre), .begin_ns = clock_now_ns() };
	struct round_figures figures = {
		.round = round, .throttled = pre->throttle ? pre->throttle->percentage : 0,
	};
	struct sender *sender = pre->sender, before = *sender;
	struct source_process *process;

	sender->round = round;
	pre->rounds = round;
	if (begin_round(pre, round, progress.all, err) || syncfs_ask(pre->sync, err))
		return -1;
	tree_for_each(pre->tree, process)
		if (send_process(pre, process, &progress, err))
			return -1;
	/* the next list tells what was written since its part was taken, half a round ago as a rule */
	if (progress.parts)
		pre->scanned_ns += (clock_now_ns() - pre->scanned_ns) / 2;
	if (send_shared(pre, err) ||
	    wait_ack(pre, round, sender->inherited - before.inherited, err))
		return -1;
	tree_for_each(pre->tree, process) {
		process->mm.known = true;
		if (source_mm_end_round(&process->mm, err) ||
		    inherit_end_round(&process->inherit, &process->mm, err))
			return -1;
	}
	figures.ns = clock_now_ns() - progress.begin_ns;
	figures.put_off = progress.put_off;
	figures.pages = sender->pages - before.pages;
	figures.copied = sender->copied - before.copied;
	figures.zero = sender->zero - before.zero;
	figures.inherited = sender->inherited - before.inherited;
	figures.bytes = sender->bytes - before.bytes;
	measure(pre, figures.bytes, figures.ns);
	sender_end_round(sender);
	if (sync_files(pre, &figures, err))
		return -1;
	return figures_add_round(pre->figures, &figures, err);
}

static void say_beaten(struct precopy *pre)
{
	char text[TEXT_MAX];

	if (pre->said_beaten || !stop_rule_is_beaten(&pre->rule))
		return;
	pre->said_beaten = true;
	stop_rule_say_beaten(&pre->rule, text, sizeof(text));
	report_say("%s", text);
}

/* What the round, and the scan behind it, say of the next one. */
static void take_outlook(const struct precopy *pre, struct round_figures *round)
{
	const struct stop_rule *rule = &pre->rule;

	round->dirty_bytes = (round->dirty_pages + pre->shared_pages) << PAGE_SHIFT;
	round->bandwidth = pre->bytes_per_s;
	round->total_ns = stop_rule_expected_ns(rule, round->dirty_bytes, pre->bytes_per_s);
	round->stands_ns = stop_rule_stands_ns(rule, round->dirty_bytes, pre->bytes_per_s);
	round->limit_ns = stop_rule_limit_ns(rule);
}

/* More rounds will not do. Return: as after_round() */
static int stall(struct precopy *pre, const struct round_figures *last, struct error *err)
{
	if (pre->on_stall == STALL_THROTTLE && pre->rounds + THROTTLE_ROUNDS < ROUNDS_MAX &&
	    throttle_step(pre->throttle)) {
		stop_rule_allow(&pre->rule, THROTTLE_ROUNDS);
		return 0;
	}
	if (pre->on_stall == STALL_ABORT)
		return error_set(err, CODE_ABORTED,
				 "allow more by --max-downtime, --max-rounds or --bandwidth, or choose --on-stall postcopy",
				 "rounds do not bring it below --max-downtime: %lu MiB are dirty, at %.0f MiB/s, and the program would stand for about %lu ms",
				 last->dirty_bytes >> 20, figures_dirty_rate(last),
				 last->total_ns / 1000000);
	if (pre->on_stall == STALL_POSTCOPY && pre->mode == MODE_PRECOPY) {
		report_say("the rest of the memory follows after the program has moved (--on-stall postcopy)");
		pre->mode = MODE_AUTO;
		pre->rule.rest_later = true;
	}
	return 1;
}

/* Return: 1 to stop the program now, 0 to go on, -1 */
static int after_round(struct precopy *pre, uint32_t round, struct error *err)
{
	struct figures *figures = pre->figures;
	struct round_figures *last = &figures->rounds[figures->nr_rounds - 1];
	uint64_t begin = pre->scanned_ns;
	enum stop_verdict verdict;
	char text[TEXT_MAX];
	int stop = 1;

	if (precopy_scan_next(pre, err))
		return -1;
	last->dirty_pages = dirty_pages(pre);
	last->dirty_ns = pre->scanned_ns - begin;
	take_outlook(pre, last);
	verdict = stop_rule_next(&pre->rule, round, last->dirty_bytes, pre->bytes_per_s);
	last->limit_ns = stop_rule_limit_ns(&pre->rule);
	figures_say_round(last);
	say_beaten(pre);
	if (verdict == STOP_NOT)
		return 0;
	if (verdict != STOP_DOWNTIME)
		stop = stall(pre, last, err);
	if (stop <= 0)
		return stop;
	stop_rule_say(&pre->rule, verdict, last->dirty_bytes, pre->bytes_per_s, text, sizeof(text));
	report_say("stopping the program: %s", text);
	return 1;
}

static uint64_t shared_pages(const struct precopy *pre)
{
	const struct source_process *process;
	uint64_t pages = 0;

	tree_for_each(pre->tree, process)
		pages += process->inherit.shared.nr;
	return pages;
}

/*
 * A round of COPY alone, behind the last one: these pages were put off while their parents sent them, and
 * would travel after all. What is dirty besides stays so.
 */
static int send_copies(struct precopy *pre, uint32_t round, struct error *err)
{
	uint64_t shared = shared_pages(pre);
	struct source_process *process;

	if (!shared || round > ROUNDS_MAX)
		return 0;
	pre->sender->round = round;
	pre->rounds = round;
	if (begin_round(pre, round, shared, err))
		return -1;
	tree_for_each(pre->tree, process)
		if (inherit_send(&process->inherit, &process->mm, pre->sender, err) ||
		    sender_mark(pre->sender, &process->mm, FRAME_ROUND, err))
			return -1;
	if (shms_mark(pre->shms, pre->sender, FRAME_ROUND, err) || sender_end(pre->sender, FRAME_ROUND, err) ||
	    wait_ack(pre, round, shared, err))
		return -1;
	tree_for_each(pre->tree, process)
		if (inherit_end_round(&process->inherit, &process->mm, err))
			return -1;
	return 0;
}

static int run_until_stop(struct precopy *pre, struct error *err)
{
	uint32_t round = pre->rounds;
	int stop = 0;

	while (!stop) {
		if (send_round(pre, ++round, err))
			return -1;
		stop = after_round(pre, round, err);
	}
	return stop < 0 ? -1 : 0;
}

/*
 * A list shows the pages that the program wrote. Those that the module's record has besides (swapped out, moved by
 * the kernel, held by others) are seen when they are taken. @listed: pages
 */
static bool is_surprised(struct precopy *pre, uint64_t listed)
{
	uint64_t pages = dirty_pages(pre);
	struct source_mm *mm;

	if (pages <= 2 * listed + SURPRISE_PAGES || !stop_rule_has_rounds_left(&pre->rule, pre->rounds) ||
	    pre->rounds >= ROUNDS_MAX)
		return false;
	report_say("the program runs on for a round: %lu MiB are dirty, and %lu MiB were expected",
		   pages >> 8, listed >> 8);
	/* they are taken already */
	tree_for_each_mm(pre->tree, mm)
		mm->by_parts = false;
	return true;
}

static int run_rounds(struct precopy *pre, struct error *err)
{
	bool again = true;

	while (again) {
		uint64_t listed;

		again = !pre->rounds;
		if (run_until_stop(pre, err))
			return -1;
		listed = dirty_pages(pre);
		if (send_copies(pre, pre->rounds + 1, err) || precopy_take_listed(pre, err))
			return -1;
		again = again && is_surprised(pre, listed);
	}
	return 0;
}

static int send_shared_round(struct precopy *pre, uint32_t round, struct error *err)
{
	struct source_mm *mm;

	pre->sender->round = round;
	pre->rounds = round;
	if (begin_round(pre, round, shms_pages(pre->shms), err))
		return -1;
	tree_for_each_mm(pre->tree, mm)
		if (sender_mark(pre->sender, mm, FRAME_ROUND, err))
			return -1;
	return send_shared(pre, err) || wait_ack(pre, round, 0, err) ? -1 : 0;
}

/*
 * Without rounds of the rest: of shared memory, and of files. The second one sends little: it is there so that what is
 * compared and sent while the program stands is that of a moment ago.
 */
static int run_shared_rounds(struct precopy *pre, struct error *err)
{
	bool shared = shms_nr(pre->shms);

	for (uint32_t round = 1; round <= SHARED_ROUNDS && (shared || syncfs_is_on(pre->sync)); round++) {
		struct round_figures figures = { 0 };

		if (syncfs_ask(pre->sync, err) || (shared && send_shared_round(pre, round, err)) ||
		    sync_files(pre, &figures, err) || precopy_scan_next(pre, err))
			return -1;
		if (pre->shared_pages + (figures.synced_bytes >> PAGE_SHIFT) < SHARED_ENOUGH)
			return 0;
	}
	return 0;
}

int precopy_run(struct precopy *pre, struct error *err)
{
	struct source_mm *mm;

	if (precopy_scan_next(pre, err))
		return -1;
	if (pre->mode == MODE_POSTCOPY ? run_shared_rounds(pre, err) : run_rounds(pre, err))
		return -1;
	tree_for_each_mm(pre->tree, mm) {
		/* no page was sent before COMMIT: no page of the destination is old */
		if (pre->mode == MODE_POSTCOPY)
			source_mm_clear_dirty(mm);
		if (mm->begun && sender_set(pre->sender, mm, FRAME_STALE, &mm->dirty, err))
			return -1;
		source_mm_clear_dirty(mm);
	}
	return 0;
}
