/* SPDX-License-Identifier: GPL-2.0 */
/* Compares the result of SCAN TRACKED for each page of a window with the wanted result. */
#ifndef SPLICE_VM_SELFTESTS_DIRTY_H
#define SPLICE_VM_SELFTESTS_DIRTY_H

#include "svm.h"
#include "sys.h"
#include "target.h"

#define DIRTY_NONE	0
#define DIRTY_YES	1
#define DIRTY_DROPPED	2
#define DIRTY_HELD	3	/* dirty only because of extra references */
/* Values of @want only, where SCAN may report too much: */
#define DIRTY_MAYBE	4	/* dirty, held or nothing, never dropped */
#define DIRTY_CHANGED	5	/* dirty, held or dropped, never nothing */
#define DIRTY_ANY	6
#define DIRTY_GONE	7	/* dropped or nothing, never dirty */

/**
 * struct dirty_window - adjacent pages
 * @addr: address of the first page
 * @nr: number of pages
 * @want: wanted DIRTY_* of each page
 * @got: DIRTY_* of each page, by the last dirty_take()
 * @held: number of pages in @got that are DIRTY_HELD
 */
struct dirty_window {
	unsigned long addr;
	unsigned long nr;
	unsigned char *want;
	unsigned char *got;
	unsigned long held;
};

void dirty_window_init(struct dirty_window *win, unsigned long addr,
		       unsigned long nr);
void dirty_window_free(struct dirty_window *win);
unsigned long dirty_addr(const struct dirty_window *win, unsigned long page);
/* The target writes to these pages, which are wanted DIRTY. */
void dirty_touch(struct target *t, struct dirty_window *win, unsigned long page,
		 unsigned long nr);
void dirty_want(struct dirty_window *win, unsigned long first,
		unsigned long nr, unsigned char what);
/*
 * A mapping was cut or grew at page @edge. Linux splits huge pages there, and tells
 * notifiers before it looks whether there is one: all of these 2 MiB may be dirty.
 */
void dirty_want_edge(struct dirty_window *win, unsigned long edge);
/*
 * Page @page is the first one in its page table, which the write-protect tracker sees anew: SCAN
 * may report the empty entries of the table as dropped once more. Linux 7.2 frees empty tables.
 */
void dirty_want_table(struct dirty_window *win, unsigned long page);
/* Fills @got by SCAN of the window, @cap runs a call. Return: 0 or -errno */
int dirty_take(struct svm *s, struct dirty_window *win, unsigned int cap);
bool dirty_is_as_wanted(const struct dirty_window *win);
/* Ends an epoch, scans, reports one test case, and clears @want. */
void dirty_test(struct svm *s, struct dirty_window *win, const char *name);
/* dirty_test() without the end of an epoch. */
void dirty_test_now(struct svm *s, struct dirty_window *win, const char *name);

#endif
