// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "base/report.h"
#include "base/spread.h"
#include "source/scan.h"

/** struct scan - what one SCAN finds; the pages in @dropped are gone. @part: of a part */
struct scan {
	struct source_mm *mm;
	bool part;
	struct splice_vm_run *dropped;
	size_t nr, cap;
	struct scan_sum sum;
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

static int scan_dirty(struct scan *scan, const struct splice_vm_run *run, struct error *err)
{
	if (run->flags & SPLICE_VM_RUN_HELD)
		scan->sum.held += run->nr_pages;
	else
		scan->sum.dirty += run->nr_pages;
	/* at first all pages there are have been written */
	if (scan->mm->known && !scan->part && hot_add(&scan->mm->hot, run->addr, run->nr_pages, err))
		return -1;
	return scan->part ? source_mm_take(scan->mm, run, err) :
			    page_set_add(&scan->mm->dirty, run->addr, run->nr_pages, err);
}

static int scan_runs(void *ctx, const struct splice_vm_run *runs, uint32_t nr,
		     struct error *err)
{
	struct scan *scan = ctx;
	int ret = 0;

	for (uint32_t i = 0; i < nr && !ret; i++) {
		if (runs[i].flags & SPLICE_VM_RUN_DROPPED) {
			page_set_remove(&scan->mm->dirty, runs[i].addr, runs[i].nr_pages);
			scan->sum.dropped += runs[i].nr_pages;
			ret = scan_dropped(scan, &runs[i], err);
		} else if (runs[i].flags & SPLICE_VM_RUN_DIRTY) {
			ret = scan_dirty(scan, &runs[i], err);
		}
	}
	return ret;
}

void scan_say(const struct source_mm *mm, const struct scan_sum *sum)
{
	struct backend *backend = mm->backend;

	report_event("scan", json_pack("{s:I,s:I,s:I,s:I}",
				       "dirty_pages", (json_int_t)sum->dirty,
				       "held_pages", (json_int_t)sum->held,
				       "dropped_pages", (json_int_t)sum->dropped,
				       "overflows", (json_int_t)backend->ops->overflows(backend)));
}

void scan_look(struct source_mm *mm, bool last)
{
	if (mm->backend->ops->look)
		mm->backend->ops->look(mm->backend, last);
}

static int scan_take(struct scan *scan, struct error *err)
{
	struct backend *backend = scan->mm->backend;

	return backend->ops->scan(backend, scan_runs, scan, err);
}

static int scan_send(struct scan *scan, struct sender *sender, struct error *err)
{
	if (!scan->mm->begun)
		return 0;
	return sender_list(sender, scan->mm, FRAME_DROPPED, scan->dropped, scan->nr, err);
}

int scan_mm(struct source_mm *mm, struct sender *sender, struct error *err)
{
	struct scan scan = { .mm = mm };
	int ret = scan_take(&scan, err) || scan_send(&scan, sender, err) ? -1 : 0;

	scan_say(mm, &scan.sum);
	free(scan.dropped);
	return ret;
}

/** struct tree_scan - of the processes of @tree; @forgives: see scan_tree() */
struct tree_scan {
	const struct tree *tree;
	struct source_process **processes;
	struct scan *scans;
	size_t nr;
	bool forgives;
};

static int scan_one(void *ctx, size_t at, struct error *err)
{
	const struct tree_scan *all = ctx;

	if (!scan_take(&all->scans[at], err))
		return 0;
	return all->forgives && tree_forgive(all->tree, all->processes[at], err) ? 0 : -1;
}

static int scan_end_all(struct tree_scan *all, int ret, struct sender *sender, struct error *err)
{
	for (size_t i = 0; i < all->nr; i++) {
		struct scan *scan = &all->scans[i];

		if (!ret && !all->processes[i]->gone)
			ret = scan_send(scan, sender, err);
		scan_say(scan->mm, &scan->sum);
		free(scan->dropped);
	}
	return ret;
}

int scan_tree(const struct tree *tree, bool (*which)(const struct source_mm *mm), bool forgives,
	      struct sender *sender, struct error *err)
{
	struct tree_scan all = {
		.tree = tree, .forgives = forgives,
		.processes = calloc(tree->nr + 1, sizeof(*all.processes)),
		.scans = calloc(tree->nr + 1, sizeof(*all.scans)),
	};
	struct source_process *process;
	int ret = all.processes && all.scans ? 0 : error_errno(err, CODE_INTERNAL, NULL, "no memory for scans");

	if (!ret) {
		tree_for_each(tree, process) {
			if (!which(&process->mm))
				continue;
			all.processes[all.nr] = process;
			all.scans[all.nr++].mm = &process->mm;
		}
		ret = scan_end_all(&all, spread_run(all.nr, scan_one, &all, err), sender, err);
	}
	free(all.processes);
	free(all.scans);
	return ret;
}

int scan_list(struct source_mm *mm, struct error *err)
{
	struct scan scan = { .mm = mm };
	int ret = mm->backend->ops->list(mm->backend, scan_runs, &scan, err);

	report_event("listed", json_pack("{s:I}", "dirty_pages", (json_int_t)scan.sum.dirty));
	return ret;
}

int scan_part(struct source_mm *mm, struct sender *sender, uint64_t start, uint64_t end,
	      struct scan_sum *sum, struct error *err)
{
	struct scan scan = { .mm = mm, .part = true, .sum = *sum };
	int ret = mm->backend->ops->scan_part(mm->backend, start, end, scan_runs, &scan, err);

	*sum = scan.sum;
	if (!ret)
		ret = source_mm_put_off(mm, start, end, err);
	if (!ret && mm->known)
		ret = sender_list(sender, mm, FRAME_DROPPED, scan.dropped, scan.nr, err);
	free(scan.dropped);
	return ret;
}
