// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/report.h"
#include "source/outgoing.h"

#define SEND_RUNS	512
#define SEND_PAGES	16384UL		/* 64 MiB: how often the progress line moves */
#define ACK_TIMEOUT_MS	120000

/** struct precopy - the rounds so far; @scanned_ns: when the running epoch began */
struct precopy {
	struct outgoing *out;
	struct page_set dirty;
	struct stop_rule rule;
	double bytes_per_s;
	uint64_t scanned_ns;
	bool said_beaten;
};

/** struct scan - what one SCAN finds */
struct scan {
	struct page_set *dirty;
	struct splice_vm_run *dropped;
	size_t nr, cap;
	uint64_t dirty_pages, held_pages, dropped_pages;
};

static int scan_dropped(struct scan *scan, const struct splice_vm_run *run, struct error *err)
{
	if (scan->nr == scan->cap) {
		size_t cap = scan->cap ? 2 * scan->cap : 1024;
		struct splice_vm_run *runs = realloc(scan->dropped, cap * sizeof(*runs));

		if (!runs)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for a scan");
		scan->dropped = runs;
		scan->cap = cap;
	}
	scan->dropped[scan->nr++] = *run;
	return 0;
}

static int scan_runs(void *ctx, const struct splice_vm_run *runs, uint32_t nr,
		     struct error *err)
{
	struct scan *scan = ctx;

	for (uint32_t i = 0; i < nr; i++) {
		if (runs[i].flags & SPLICE_VM_RUN_DROPPED) {
			page_set_remove(scan->dirty, runs[i].addr, runs[i].nr_pages);
			scan->dropped_pages += runs[i].nr_pages;
			if (scan_dropped(scan, &runs[i], err))
				return -1;
		} else if (runs[i].flags & SPLICE_VM_RUN_DIRTY) {
			if (page_set_add(scan->dirty, runs[i].addr, runs[i].nr_pages, err))
				return -1;
			if (runs[i].flags & SPLICE_VM_RUN_HELD)
				scan->held_pages += runs[i].nr_pages;
			else
				scan->dirty_pages += runs[i].nr_pages;
		}
	}
	return 0;
}

/* What the backend said, before it is narrowed to mappings that are ours. */
static void scan_say(struct outgoing *out, const struct scan *scan)
{
	struct backend *backend = out->backend;

	report_event("scan", json_pack("{s:I,s:I,s:I,s:I,s:I}",
				       "dirty_pages", (json_int_t)scan->dirty_pages,
				       "held_pages", (json_int_t)scan->held_pages,
				       "dropped_pages", (json_int_t)scan->dropped_pages,
				       "overflows", (json_int_t)backend->ops->overflows(backend),
				       "stood_ns", (json_int_t)backend->stood_ns));
}

bool outgoing_follows(const struct outgoing *out)
{
	return out->mode != MODE_POSTCOPY || out->backend->criu_tracks;
}

int outgoing_scan(struct outgoing *out, bool stands, struct page_set *dirty, struct error *err)
{
	struct scan scan = { .dirty = dirty };
	int ret = -1;

	if (!out->backend->ops->scan(out->backend, stands, scan_runs, &scan, err))
		ret = sender_list(&out->memory, FRAME_DROPPED, scan.dropped, scan.nr, err);
	out->figures.rounds_stood_ns = out->backend->stood_ns;
	scan_say(out, &scan);
	free(scan.dropped);
	return ret;
}

static bool same_maps(const struct vma_list *a, const struct vma_list *b)
{
	bool same = a->nr == b->nr;

	for (size_t i = 0; i < a->nr && same; i++)
		same = a->vmas[i].start == b->vmas[i].start && a->vmas[i].end == b->vmas[i].end &&
		       a->vmas[i].prot == b->vmas[i].prot &&
		       a->vmas[i].shared == b->vmas[i].shared &&
		       !strcmp(a->vmas[i].name, b->vmas[i].name);
	return same;
}

/*
 * Read after the scan: whatever it found in a mapping that is not in the list was
 * unmapped or moved since, and the next scan says so.
 */
static int follow_maps(struct outgoing *out, struct error *err)
{
	struct vma_list now;

	if (maps_read(out->opts->pid, false, &now, err))
		return -1;
	if (same_maps(&now, &out->vmas)) {
		maps_free(&now);
		return 0;
	}
	maps_free(&now);
	/* the flags of new ones: seldom, since it walks all page tables */
	if (maps_read(out->opts->pid, true, &now, err))
		return -1;
	maps_free(&out->vmas);
	out->vmas = now;
	return outgoing_send_maps(out, &out->vmas, err);
}

void outgoing_filter(const struct vma_list *vmas, struct page_set *dirty)
{
	uint64_t at = 0;

	for (size_t i = 0; i < vmas->nr; i++) {
		if (!vma_is_ours(&vmas->vmas[i]))
			continue;
		page_set_remove(dirty, at, (vmas->vmas[i].start - at) >> PAGE_SHIFT);
		at = vmas->vmas[i].end;
	}
	page_set_remove(dirty, at, (USER_END - at) >> PAGE_SHIFT);
}

static int scan_next(struct precopy *pre, struct error *err)
{
	struct outgoing *out = pre->out;

	pre->scanned_ns = clock_now_ns();
	if (outgoing_scan(out, false, &pre->dirty, err) || follow_maps(out, err))
		return -1;
	outgoing_filter(&out->vmas, &pre->dirty);
	return 0;
}

static int begin_round(struct outgoing *out, uint32_t round, uint64_t pages, struct error *err)
{
	Migrate__RoundBegin begin = MIGRATE__ROUND_BEGIN__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;

	begin.round = round;
	begin.pages = pages;
	msg.body_case = MIGRATE__CONTROL__BODY_ROUND_BEGIN;
	msg.round_begin = &begin;
	return control_send(out->ctl, &msg, err);
}

static int wait_ack(struct outgoing *out, uint32_t round, struct error *err)
{
	Migrate__Control *msg = mailbox_expect(&out->box, MIGRATE__CONTROL__BODY_ROUND_ACK,
						ACK_TIMEOUT_MS, err);
	uint32_t acked;

	if (!msg)
		return -1;
	acked = msg->round_ack->round;
	migrate__control__free_unpacked(msg, NULL);
	return acked == round ? 0 :
	       error_set(err, CODE_PEER, NULL, "the destination acknowledged round %u, not %u",
			 acked, round);
}

static int send_dirty(struct precopy *pre, uint32_t round, struct error *err)
{
	struct splice_vm_run runs[SEND_RUNS];
	struct outgoing *out = pre->out;
	uint64_t at = 0, done = 0, all = pre->dirty.nr, begin = clock_now_ns();
	uint32_t nr;

	while ((nr = sender_take(&pre->dirty, &at, runs, SEND_RUNS, SEND_PAGES))) {
		if (mailbox_failed(&out->box, err) || sender_pages(&out->memory, runs, nr, err))
			return -1;
		for (uint32_t i = 0; i < nr; i++)
			done += runs[i].nr_pages;
		report_progress("round %u: %lu of %lu MiB, %.0f MiB/s", round, done >> 8, all >> 8,
				done / 256.0 / ((clock_now_ns() - begin) / 1e9 + 1e-9));
	}
	return 0;
}

static int send_round(struct precopy *pre, uint32_t round, struct error *err)
{
	struct outgoing *out = pre->out;
	struct sender before = out->memory;
	struct round_figures figures = { .round = round };
	uint64_t begin = clock_now_ns();

	out->memory.round = round;
	out->last_round = round;
	if (outgoing_announce_memory(out, &pre->dirty, err) ||
	    begin_round(out, round, pre->dirty.nr, err) || send_dirty(pre, round, err) ||
	    sender_mark(&out->memory, FRAME_ROUND, err) || wait_ack(out, round, err))
		return -1;
	figures.ns = clock_now_ns() - begin;
	figures.pages = out->memory.pages - before.pages;
	figures.copied = out->memory.copied - before.copied;
	figures.zero = out->memory.zero - before.zero;
	figures.bytes = out->memory.bytes - before.bytes;
	page_set_remove(&pre->dirty, 0, USER_END >> PAGE_SHIFT);
	/* a short round says more of the latency than of the link */
	if (figures.bytes > (1 << 20) || !pre->bytes_per_s) {
		double now = figures.bytes / (figures.ns / 1e9);

		pre->bytes_per_s = pre->bytes_per_s ? (pre->bytes_per_s + now) / 2 : now;
	}
	return figures_add_round(&out->figures, &figures, err);
}

static void say_beaten(struct precopy *pre)
{
	if (pre->said_beaten || !stop_rule_is_beaten(&pre->rule))
		return;
	pre->said_beaten = true;
	report_say("dump and restore alone take longer than --max-downtime %u: only the memory is counted",
		   pre->out->opts->max_downtime_ms);
}

/* Return: 1 to stop the program now, 0 to go on, -1 */
static int after_round(struct precopy *pre, uint32_t round, struct error *err)
{
	struct figures *figures = &pre->out->figures;
	struct round_figures *last = &figures->rounds[figures->nr_rounds - 1];
	uint64_t begin = pre->scanned_ns;
	enum stop_verdict verdict;

	if (scan_next(pre, err))
		return -1;
	last->dirty_pages = pre->dirty.nr;
	last->dirty_ns = pre->scanned_ns - begin;
	figures_say_round(last);
	verdict = stop_rule_next(&pre->rule, round, pre->dirty.nr << PAGE_SHIFT, pre->bytes_per_s);
	say_beaten(pre);
	if (verdict == STOP_NOT)
		return 0;
	report_say("stopping the program: about %lu ms expected (%s)",
		   stop_rule_expected_ns(&pre->rule, pre->dirty.nr << PAGE_SHIFT,
					 pre->bytes_per_s) / 1000000,
		   stop_rule_why(&pre->rule, verdict));
	return 1;
}

static int run_rounds(struct precopy *pre, struct error *err)
{
	int stop = 0;

	/* with nothing sent before it moves, writes matter to CRIU alone */
	if (!outgoing_follows(pre->out))
		return follow_maps(pre->out, err);
	if (scan_next(pre, err))
		return -1;
	if (pre->out->mode == MODE_POSTCOPY) {
		/* the destination has nothing that could be old */
		page_set_remove(&pre->dirty, 0, USER_END >> PAGE_SHIFT);
		return 0;
	}
	for (uint32_t round = 1; !stop; round++) {
		if (send_round(pre, round, err))
			return -1;
		stop = after_round(pre, round, err);
	}
	return stop < 0 ? -1 : 0;
}

int outgoing_send_stale(struct outgoing *out, const struct page_set *dirty, struct error *err)
{
	struct splice_vm_run runs[SEND_RUNS];
	uint64_t at = 0;
	uint32_t nr;

	while ((nr = sender_take(dirty, &at, runs, SEND_RUNS, UINT32_MAX)))
		if (sender_list(&out->memory, FRAME_STALE, runs, nr, err))
			return -1;
	return 0;
}

int outgoing_precopy(struct outgoing *out, struct error *err)
{
	struct precopy pre = {
		.out = out,
		.rule = {
			.max_rounds = out->opts->max_rounds,
			.max_downtime_ns = out->opts->max_downtime_ms * 1000000UL,
			.fixed_ns = outlook_ns(&out->outlook),
		},
	};
	int ret;

	if (page_set_init(&pre.dirty))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a page set");
	ret = outgoing_follows(out) ? out->backend->ops->track(out->backend, err) : 0;
	if (!ret)
		ret = run_rounds(&pre, err);
	if (!ret)
		ret = outgoing_send_stale(out, &pre.dirty, err);
	page_set_destroy(&pre.dirty);
	return ret;
}
