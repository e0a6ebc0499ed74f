// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "base/report.h"
#include "source/scan.h"

/** struct scan - what one SCAN finds; the pages in @dropped are gone */
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

/* What the backend said, before it is narrowed to mappings whose pages are sent. */
static void scan_say(struct backend *backend, const struct scan *scan)
{
	report_event("scan", json_pack("{s:I,s:I,s:I,s:I}",
				       "dirty_pages", (json_int_t)scan->dirty_pages,
				       "held_pages", (json_int_t)scan->held_pages,
				       "dropped_pages", (json_int_t)scan->dropped_pages,
				       "overflows", (json_int_t)backend->ops->overflows(backend)));
}

void scan_look(struct source_mm *mm, bool last)
{
	if (mm->backend->ops->look)
		mm->backend->ops->look(mm->backend, last);
}

int scan_mm(struct source_mm *mm, struct sender *sender, struct error *err)
{
	struct scan scan = { .dirty = &mm->dirty };
	int ret = -1;

	if (!mm->backend->ops->scan(mm->backend, scan_runs, &scan, err))
		ret = !mm->begun ? 0 : sender_list(sender, mm, FRAME_DROPPED, scan.dropped, scan.nr, err);
	scan_say(mm->backend, &scan);
	free(scan.dropped);
	return ret;
}
