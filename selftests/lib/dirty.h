/* SPDX-License-Identifier: GPL-2.0 */
/* What SCAN TRACKED says of each page of a window, against what it should say. */
#ifndef SPLICE_VM_SELFTESTS_DIRTY_H
#define SPLICE_VM_SELFTESTS_DIRTY_H

#include "svm.h"
#include "sys.h"
#include "target.h"

#define DIRTY_NONE	0
#define DIRTY_YES	1
#define DIRTY_DROPPED	2
#define DIRTY_HELD	3	/* dirty only since somebody holds references */
/* Only wanted, where more may be said than is so: */
#define DIRTY_MAYBE	4	/* dirty, held or nothing, never dropped */
#define DIRTY_CHANGED	5	/* dirty, held or dropped, never nothing */
#define DIRTY_ANY	6
#define DIRTY_GONE	7	/* dropped or nothing, never dirty */

/**
 * struct dirty_window - pages side by side
 * @addr: of the first
 * @nr: how many
 * @want: DIRTY_* of each
 * @got: DIRTY_* of each, by the last dirty_take()
 * @held: how many of them are DIRTY_HELD
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
/* The target writes to these pages, and they are wanted. */
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
 * Page @page is the first of its page table, which the write-protect tracker sees anew: what else
 * of it holds nothing may be called dropped once more. Linux 7.2 frees tables that are empty.
 */
void dirty_want_table(struct dirty_window *win, unsigned long page);
/* SCAN of the window, @cap runs a call, into @got. Return: 0 or -errno */
int dirty_take(struct svm *s, struct dirty_window *win, unsigned int cap);
bool dirty_is_as_wanted(const struct dirty_window *win);
/* An epoch ends, SCAN, one case; then nothing is wanted any more. */
void dirty_test(struct svm *s, struct dirty_window *win, const char *name);
/* The same without the end of an epoch. */
void dirty_test_now(struct svm *s, struct dirty_window *win, const char *name);

#endif
