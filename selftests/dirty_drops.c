// SPDX-License-Identifier: GPL-2.0
/*
 * SCAN TRACKED reports pages that a task drops, moves or replaces: DROPPED where no page is left,
 * DIRTY where another page is now.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dirty.h"
#include "ksft.h"
#include "target.h"

#define PAGES		2048UL
#define LEN		(PAGES * PAGE_SIZE)
#define THP_PAGES	(PMD_SIZE / PAGE_SIZE)

static struct target target;
static struct svm svm;
static struct dirty_window win;
static __u32 tracker;

static void drops_discard(unsigned long page, unsigned long nr)
{
	target_madvise(&target, dirty_addr(&win, page), nr * PAGE_SIZE,
		       MADV_DONTNEED);
	dirty_want(&win, page, nr, DIRTY_DROPPED);
}

static void drops_mmap(unsigned long page, unsigned long nr)
{
	long addr = target_sys(&target, SYS_mmap, dirty_addr(&win, page),
			       nr * PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);

	ksft_must(addr == (long)dirty_addr(&win, page));
	target_madvise(&target, addr, nr * PAGE_SIZE, MADV_NOHUGEPAGE);
	dirty_want(&win, page, nr, DIRTY_DROPPED);
	dirty_want_edge(&win, page);
	dirty_want_edge(&win, page + nr);
}

static void drops_munmap(unsigned long page, unsigned long nr)
{
	ksft_must(!target_sys(&target, SYS_munmap, dirty_addr(&win, page),
			      nr * PAGE_SIZE));
	dirty_want(&win, page, nr, DIRTY_DROPPED);
	dirty_want_edge(&win, page);
	dirty_want_edge(&win, page + nr);
}

/* The registration of a mapping that the moved one is merged with is lost, too. */
static void drops_want_neighbours(void)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++) {
		if (win.want[i] == DIRTY_NONE)
			win.want[i] = DIRTY_ANY;
	}
}

static void drops_mremap(unsigned long from, unsigned long to,
			 unsigned long nr, int flags)
{
	long addr = target_sys(&target, SYS_mremap, dirty_addr(&win, from),
			       nr * PAGE_SIZE, nr * PAGE_SIZE,
			       MREMAP_MAYMOVE | MREMAP_FIXED | flags,
			       dirty_addr(&win, to));

	ksft_must(addr == (long)dirty_addr(&win, to));
	dirty_want(&win, from, nr, DIRTY_DROPPED);
	dirty_want(&win, to, nr, DIRTY_YES);
	dirty_want_edge(&win, from);
	dirty_want_edge(&win, from + nr);
	dirty_want_edge(&win, to);
	dirty_want_edge(&win, to + nr);
	if (tracker == SPLICE_VM_TRACKER_EVENTS)
		drops_want_neighbours();
}

/* All is there and clean, and nothing is left to report. */
static void drops_reset(void)
{
	drops_mmap(0, PAGES);
	dirty_touch(&target, &win, 0, PAGES);
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
	dirty_want(&win, 0, PAGES, DIRTY_NONE);
}

static void drops_test_discard(void)
{
	drops_reset();
	drops_discard(10, 1);
	drops_discard(100, 30);
	dirty_test_now(&svm, &win, "MADV_DONTNEED, without an epoch");
	dirty_test(&svm, &win, "and is not said again");
	drops_discard(500, 24);
	dirty_touch(&target, &win, 505, 2);
	dirty_test(&svm, &win, "MADV_DONTNEED, two pages written again");
	drops_discard(0, PAGES);
	dirty_test(&svm, &win, "MADV_DONTNEED of all");
	dirty_touch(&target, &win, 3, 1);
	if (tracker == SPLICE_VM_TRACKER_EVENTS)
		dirty_want_table(&win, 3);
	dirty_test(&svm, &win, "first write after it");
}

static void drops_test_unmap(void)
{
	drops_reset();
	drops_munmap(1, 1);
	drops_munmap(700, 100);
	dirty_test(&svm, &win, "munmap");
	drops_mmap(700, 100);
	dirty_touch(&target, &win, 750, 1);
	dirty_want(&win, 700, 50, DIRTY_ANY);
	dirty_want(&win, 751, 49, DIRTY_ANY);
	dirty_test(&svm, &win, "mmap where something was");
	drops_mmap(1024, 512);
	dirty_touch(&target, &win, 1030, 1);
	dirty_test(&svm, &win, "mmap over something");
	dirty_touch(&target, &win, 20, 1);
	drops_munmap(20, 1);
	drops_mmap(20, 1);
	dirty_test(&svm, &win, "written, unmapped and mapped in one epoch");
}

static void drops_test_mremap(void)
{
	drops_reset();
	drops_mremap(10, 600, 5, 0);
	dirty_test(&svm, &win, "mremap of 5 pages over others");
	drops_reset();
	drops_mremap(0, 1024, 512, 0);
	dirty_test(&svm, &win, "mremap of a page table over another");
	drops_mremap(1024, 0, 512, 0);
	dirty_test(&svm, &win, "mremap of a page table to a gap");
	drops_mremap(0, 1024, 512, 0);
	drops_mremap(1024, 0, 512, 0);
	dirty_test(&svm, &win, "there and back in one epoch");
	drops_mremap(0, 1024, 512, 0);
	dirty_touch(&target, &win, 1024, 512);
	drops_mremap(1024, 0, 512, 0);
	dirty_test(&svm, &win, "there, written, and back");
	drops_mremap(1536, 0, 100, MREMAP_DONTUNMAP);
	dirty_test(&svm, &win, "mremap that leaves the mapping");
}

/* The file loses pages: through no call of the task itself. */
static void drops_test_punch(void)
{
	struct dirty_window all = win;
	long fd = target_sys(&target, SYS_memfd_create, (unsigned long)"d", 0);
	char name[32];
	long addr;
	int ours;

	target_sys(&target, SYS_ftruncate, fd, 256 * PAGE_SIZE);
	addr = target_sys(&target, SYS_mmap, 0, 256 * PAGE_SIZE,
			  PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	ksft_must(addr > 0);
	dirty_window_init(&win, addr, 256);
	dirty_touch(&target, &win, 0, 256);
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
	dirty_want(&win, 0, 256, DIRTY_NONE);
	snprintf(name, sizeof(name), "fd/%ld", fd);
	ours = sys_proc_open(target.pid, name, O_RDWR);
	ksft_must(ours >= 0);
	ksft_must(!fallocate(ours, FALLOC_FL_PUNCH_HOLE |
			     FALLOC_FL_KEEP_SIZE, 50 * PAGE_SIZE,
			     20 * PAGE_SIZE));
	/* A hole in a mapping of a file may stand for a page that the file has. */
	dirty_want(&win, 50, 20, DIRTY_CHANGED);
	dirty_test(&svm, &win, "memfd: a hole was punched");
	ksft_must(!ftruncate(ours, 200 * PAGE_SIZE));
	dirty_want(&win, 200, 56, DIRTY_CHANGED);
	dirty_test(&svm, &win, "memfd: truncated");
	close(ours);
	dirty_window_free(&win);
	win = all;
}

/* A split is seen as a change of all of it: too much, which is allowed. */
static void drops_test_thp(void)
{
	struct dirty_window all = win;
	unsigned long addr = target_map(&target, 3 * PMD_SIZE, MADV_HUGEPAGE);

	dirty_window_init(&win, addr, 3 * THP_PAGES);
	dirty_touch(&target, &win, 0, 3 * THP_PAGES);
	if (!sys_is_thp(target.pid, addr))
		ksft_exit_fail_msg("no THP here\n");
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
	dirty_want(&win, 0, 3 * THP_PAGES, DIRTY_NONE);
	dirty_want(&win, 0, THP_PAGES, DIRTY_ANY);
	drops_discard(100, 10);
	drops_discard(2 * THP_PAGES, THP_PAGES);
	dirty_test(&svm, &win, "THP: a part and one as a whole");
	dirty_test(&svm, &win, "THP: nothing was dropped");
	dirty_window_free(&win);
	win = all;
}

static void drops_test_control(void)
{
	drops_reset();
	drops_discard(5, 1);
	dirty_want(&win, 5, 1, DIRTY_NONE);
	ksft_must(!dirty_take(&svm, &win, 4096));
	ksft_test_result(!dirty_is_as_wanted(&win),
			 "control: a drop that was not wanted is seen\n");
	dirty_want(&win, 6, 1, DIRTY_DROPPED);
	ksft_must(!dirty_take(&svm, &win, 4096));
	ksft_test_result(!dirty_is_as_wanted(&win),
			 "control: a drop that is missing is seen\n");
}

static void drops_test_all(void)
{
	target_start(&target);
	dirty_window_init(&win, target_map(&target, LEN, MADV_NOHUGEPAGE),
			  PAGES);
	svm_open(&svm, target.pid, true);
	drops_test_discard();
	drops_test_unmap();
	drops_test_mremap();
	drops_test_punch();
	drops_test_thp();
	drops_test_control();
	svm_close(&svm);
	dirty_window_free(&win);
	target_stop(&target);
}

int main(void)
{
	ksft_print_header();
	for (tracker = SPLICE_VM_TRACKER_SOFT_DIRTY;
	     tracker <= SPLICE_VM_TRACKER_EVENTS; tracker++) {
		if (!svm_has_tracker(tracker))
			continue;
		ksft_print_msg("tracker %u\n", tracker);
		svm_use_tracker(tracker);
		drops_test_all();
	}
	ksft_finished();
}
