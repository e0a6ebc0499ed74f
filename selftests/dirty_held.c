// SPDX-License-Identifier: GPL-2.0
/*
 * The holder of an extra reference on a page may write to the page at any time. A holder that
 * writes must first have dirtied the page or made it writable, so the module looks for references
 * on pages that were dirty in the epoch before. Here a socket holds the references, like direct
 * I/O of Linux 6.1.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "dirty.h"
#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define PAGES	64
#define FIRST	20
#define NR	16

static struct target target;
static struct svm svm;
static struct dirty_window win;
static __u32 tracker;
static int pair[2];

static void held_take(void)
{
	/* With the other tracker each SCAN ends one. */
	sys_drain_lru();
	if (tracker == SPLICE_VM_TRACKER_SOFT_DIRTY)
		svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
}

static void held_test(const char *name)
{
	if (tracker == SPLICE_VM_TRACKER_SOFT_DIRTY)
		dirty_test(&svm, &win, name);
	else
		dirty_test_now(&svm, &win, name);
}

/* Written, and then in a socket that nobody reads from. */
static void held_begin(void)
{
	net_unix_pair(pair);
	dirty_touch(&target, &win, FIRST, NR);
	ksft_must(svm_send_one(svm.fd, pair[0], dirty_addr(&win, FIRST), NR,
			       NULL) == NR);
	held_test("written, and then in a socket");
	held_take();
	ksft_test_result(!dirty_is_as_wanted(&win),
			 "control: a page that is HELD and should be clean is seen\n");
	dirty_want(&win, FIRST, NR, DIRTY_HELD);
	held_test("pages that stay in a socket are HELD");
}

static void held_end(void)
{
	char data[(NR + 1) * PAGE_SIZE];

	ksft_must(read(pair[1], data, sizeof(data)) > 0);
	sys_drain_lru();
	/* The debug kernel keeps pages that reclaim could not have on a list that this drains. */
	sys_compact();
	held_take();
	sys_drain_lru();
	held_test("and no longer when they were read");
	close(pair[0]);
	close(pair[1]);
}

static void held_test_written(void)
{
	held_begin();
	dirty_want(&win, FIRST + 1, NR - 1, DIRTY_HELD);
	dirty_touch(&target, &win, FIRST, 1);
	held_test("a page that is held and written is not HELD");
	held_end();
	ksft_test_value(win.held, 0, "nobody holds any\n");
}

/*
 * Reclaim unmaps pages that are held, finds that it cannot have them, and leaves them in the swap
 * cache: a read maps them again, and tells nobody. The socket holds them all the time.
 */
static void held_test_swapped(void)
{
	unsigned long addr = dirty_addr(&win, FIRST);

	held_begin();
	target_page_out(&target, addr, NR * PAGE_SIZE);
	held_take();
	target_fill(&target, addr, NR * PAGE_SIZE, 0);
	held_take();
	ksft_test_result(win.held >= NR,
			 "unmapped and mapped again, they are HELD (%lu)\n",
			 win.held);
	held_end();
}

/* What stays away is not reported for ever. */
static void held_test_away(void)
{
	unsigned long addr = dirty_addr(&win, FIRST);
	int i;

	dirty_touch(&target, &win, FIRST, NR);
	target_page_out(&target, addr, NR * PAGE_SIZE);
	for (i = 0; i < 2; i++)
		held_take();
	dirty_want(&win, 0, PAGES, DIRTY_NONE);
	held_test("swapped out, and nobody holds it");
	ksft_test_value(win.held, 0, "it is not HELD\n");
}

static void held_test_all(__u32 which)
{
	if (!svm_has_tracker(which))
		return;
	tracker = which;
	ksft_print_msg("tracker %u\n", which);
	target_start(&target);
	dirty_window_init(&win, target_map(&target, PAGES * PAGE_SIZE,
					   MADV_NOHUGEPAGE), PAGES);
	dirty_touch(&target, &win, 0, PAGES);
	svm_use_tracker(which);
	svm_open(&svm, target.pid, true);
	held_take();
	held_take();
	dirty_want(&win, 0, PAGES, DIRTY_NONE);
	held_test_written();
	held_test_swapped();
	held_test_away();
	svm_close(&svm);
	dirty_window_free(&win);
	target_stop(&target);
}

int main(void)
{
	ksft_print_header();
	sys_swap_on(256);
	held_test_all(SPLICE_VM_TRACKER_SOFT_DIRTY);
	held_test_all(SPLICE_VM_TRACKER_EVENTS);
	ksft_finished();
}
