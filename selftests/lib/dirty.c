// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dirty.h"
#include "ksft.h"

void dirty_window_init(struct dirty_window *win, unsigned long addr,
		       unsigned long nr)
{
	*win = (struct dirty_window){ .addr = addr, .nr = nr };
	win->want = calloc(nr, 1);
	win->got = calloc(nr, 1);
	ksft_must(win->want && win->got);
}

void dirty_window_free(struct dirty_window *win)
{
	free(win->want);
	free(win->got);
}

unsigned long dirty_addr(const struct dirty_window *win, unsigned long page)
{
	return win->addr + page * PAGE_SIZE;
}

void dirty_touch(struct target *t, struct dirty_window *win, unsigned long page,
		 unsigned long nr)
{
	target_fill(t, dirty_addr(win, page), nr * PAGE_SIZE, page + 1);
	dirty_want(win, page, nr, DIRTY_YES);
}

void dirty_want(struct dirty_window *win, unsigned long first,
		unsigned long nr, unsigned char what)
{
	memset(win->want + first, what, nr);
}

/* Wants @what of those pages in the 2 MiB around @page of which nothing is wanted yet. */
static void dirty_want_around(struct dirty_window *win, unsigned long page,
			      unsigned char what)
{
	unsigned long thp = PMD_SIZE / PAGE_SIZE;
	unsigned long at = win->addr / PAGE_SIZE + page;
	unsigned long first = at - at % thp, i;

	for (i = 0; i < win->nr; i++) {
		if (win->addr / PAGE_SIZE + i - first < thp &&
		    win->want[i] == DIRTY_NONE)
			win->want[i] = what;
	}
}

void dirty_want_edge(struct dirty_window *win, unsigned long edge)
{
	if (dirty_addr(win, edge) % PMD_SIZE)
		dirty_want_around(win, edge, DIRTY_MAYBE);
}

void dirty_want_table(struct dirty_window *win, unsigned long page)
{
	dirty_want_around(win, page, DIRTY_GONE);
}

/* Return: false for a run that SCAN must not report */
static bool dirty_got_run(struct dirty_window *win,
			  const struct splice_vm_run *run)
{
	__u32 dirty = run->flags & SPLICE_VM_RUN_DIRTY;
	__u32 dropped = run->flags & SPLICE_VM_RUN_DROPPED;
	unsigned long first = (run->addr - win->addr) / PAGE_SIZE;

	if (run->addr < win->addr || run->addr % PAGE_SIZE || !run->nr_pages ||
	    first + run->nr_pages > win->nr || !dirty == !dropped)
		return false;
	memset(win->got + first, dirty ? DIRTY_YES : DIRTY_DROPPED,
	       run->nr_pages);
	if (!(run->flags & SPLICE_VM_RUN_HELD))
		return true;
	memset(win->got + first, DIRTY_HELD, run->nr_pages);
	win->held += run->nr_pages;
	return dirty;
}

int dirty_take(struct svm *s, struct dirty_window *win, unsigned int cap)
{
	struct svm_runs runs = {};
	int ret;
	size_t i;

	memset(win->got, DIRTY_NONE, win->nr);
	win->held = 0;
	/* pages on a CPU's list to the LRU look HELD, and the tracker ends an epoch here */
	sys_drain_lru();
	ret = svm_scan(s, SPLICE_VM_SCAN_TRACKED, win->addr,
		       win->addr + win->nr * PAGE_SIZE, cap, &runs);
	for (i = 0; !ret && i < runs.nr; i++) {
		if (!dirty_got_run(win, &runs.v[i])) {
			svm_runs_print(&runs);
			ret = -EPROTO;
		}
	}
	svm_runs_free(&runs);
	return ret;
}

static bool dirty_is_right(const struct dirty_window *win, unsigned long i)
{
	switch (win->want[i]) {
	case DIRTY_ANY:
		return true;
	case DIRTY_MAYBE:
		return win->got[i] != DIRTY_DROPPED;
	case DIRTY_CHANGED:
		return win->got[i] != DIRTY_NONE;
	case DIRTY_GONE:
		return win->got[i] == DIRTY_NONE || win->got[i] == DIRTY_DROPPED;
	default:
		return win->want[i] == win->got[i];
	}
}

bool dirty_is_as_wanted(const struct dirty_window *win)
{
	unsigned long i;

	for (i = 0; i < win->nr; i++) {
		if (!dirty_is_right(win, i))
			return false;
	}
	return true;
}

static void dirty_explain(const struct dirty_window *win)
{
	static const char * const names[] = {
		"nothing", "dirty", "dropped", "held", "nothing or dirty",
		"dirty or dropped", "any", "nothing or dropped"
	};
	unsigned long i, nr = 0;

	for (i = 0; i < win->nr; i++) {
		if (dirty_is_right(win, i))
			continue;
		if (nr++ < 8)
			ksft_print_msg("page %lu (%#lx): got %s, want %s\n", i,
				       win->addr + i * PAGE_SIZE,
				       names[win->got[i]], names[win->want[i]]);
	}
	ksft_print_msg("%lu of %lu pages wrong, %lu held\n", nr, win->nr,
		       win->held);
}

void dirty_test_now(struct svm *s, struct dirty_window *win, const char *name)
{
	int ret = dirty_take(s, win, 4096);

	if (!ksft_test_result(!ret && dirty_is_as_wanted(win),
			      "%s (%lu held)\n", name, win->held)) {
		if (ret)
			ksft_print_msg("SCAN: %s\n", strerror(-ret));
		dirty_explain(win);
	}
	dirty_want(win, 0, win->nr, DIRTY_NONE);
}

void dirty_test(struct svm *s, struct dirty_window *win, const char *name)
{
	sys_drain_lru();
	svm_epoch(s);
	dirty_test_now(s, win, name);
}
