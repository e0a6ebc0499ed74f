// SPDX-License-Identifier: GPL-2.0
/*
 * The write-protect tracker, which is helper/backend/uffd_wp.c over SPLICE_VM_TRACKER_EVENTS, where
 * the kernel has the features: reports exactly the written pages, 4 KiB at a time in huge pages
 * too. On other kernels the tracker refuses to start.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dirty.h"
#include "ksft.h"
#include "target.h"
#include "wp.h"

#define PAGES		2048UL
#define LEN		(PAGES * PAGE_SIZE)
#define THP_PAGES	(PMD_SIZE / PAGE_SIZE)

static struct target target;
static struct svm svm;
static struct dirty_window win;

static void protect_test_exact(void)
{
	struct pollfd p = { svm.fd, POLLIN, 0 };
	struct splice_vm_info info;
	__u64 seed = 7, epochs;
	int round, i;

	dirty_test_now(&svm, &win, "nothing was written");
	svm_info(svm.fd, &info);
	epochs = info.epochs;
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 100; i++)
			dirty_touch(&target, &win, sys_random(&seed) % PAGES, 1);
		dirty_test_now(&svm, &win, "100 random pages, no clear_refs");
	}
	svm_info(svm.fd, &info);
	ksft_test_value(info.epochs - epochs, 5, "INFO counts epochs\n");
	ksft_test_value(info.tracker, SPLICE_VM_TRACKER_EVENTS,
			"INFO names the tracker\n");
	ksft_test_value(poll(&p, 1, 0), 0, "poll: every epoch was taken\n");
	ksft_must(!uffd_wp_epoch(&svm.wp, 0, SVM_END, false));
	ksft_test_result(poll(&p, 1, 0) == 1 && p.revents == POLLIN,
			 "poll: an epoch ended\n");
	dirty_touch(&target, &win, 0, PAGES);
	dirty_test_now(&svm, &win, "all pages");
	target_fill(&target, win.addr, LEN, 0);
	dirty_test_now(&svm, &win, "reads do not count");
	dirty_touch(&target, &win, 9, 1);
	svm_epoch(&svm);
	dirty_test_now(&svm, &win, "clear_refs takes nothing away");
}

static void protect_test_changes(void)
{
	target_fork_write(&target, dirty_addr(&win, 40));
	dirty_test_now(&svm, &win, "writes of a forked child");
	dirty_touch(&target, &win, 40, 2);
	dirty_test_now(&svm, &win, "write after a fork");
	target_sys(&target, SYS_mprotect, dirty_addr(&win, 50), 50 * PAGE_SIZE,
		   PROT_READ);
	target_sys(&target, SYS_mprotect, dirty_addr(&win, 50), 50 * PAGE_SIZE,
		   PROT_READ | PROT_WRITE);
	dirty_want_edge(&win, 50);
	dirty_want_edge(&win, 100);
	dirty_touch(&target, &win, 60, 1);
	dirty_test_now(&svm, &win, "write after mprotect");
	dirty_touch(&target, &win, 1000, 10);
	target_page_out(&target, dirty_addr(&win, 1000), 20 * PAGE_SIZE);
	dirty_want(&win, 1010, 10, DIRTY_MAYBE);
	dirty_test_now(&svm, &win, "written, then swapped");
	/* Whoever held a page that went away may still do. */
	dirty_want(&win, 1000, 10, DIRTY_HELD);
	dirty_test_now(&svm, &win, "swapped: HELD, once");
	dirty_test_now(&svm, &win, "still swapped");
	dirty_touch(&target, &win, 1005, 1);
	target_fill(&target, dirty_addr(&win, 1010), 5 * PAGE_SIZE, 0);
	dirty_test_now(&svm, &win, "written when it came back");
	target_madvise(&target, dirty_addr(&win, 200), 10 * PAGE_SIZE,
		       MADV_DONTNEED);
	dirty_want(&win, 200, 10, DIRTY_DROPPED);
	dirty_test_now(&svm, &win, "MADV_DONTNEED");
	dirty_touch(&target, &win, 203, 1);
	dirty_test_now(&svm, &win, "first write after it");
}

/* A page table's worth, over what is there. */
static void protect_move(unsigned long from, unsigned long to)
{
	ksft_must(target_sys(&target, SYS_mremap, dirty_addr(&win, from), PMD_SIZE,
			     PMD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     dirty_addr(&win, to)) == (long)dirty_addr(&win, to));
	dirty_want(&win, from, THP_PAGES, DIRTY_DROPPED);
	dirty_want(&win, to, THP_PAGES, DIRTY_YES);
}

/*
 * Linux 6.12: a mapping that moves beside one of ours is merged with it, and then both lose their
 * registration, but the entries of ours keep their protected bit. Written once, such a page
 * is writable for good.
 */
static void protect_test_moved(void)
{
	struct dirty_window all = win;
	unsigned long addr = target_map(&target, 4 * PMD_SIZE, MADV_NOHUGEPAGE);
	int i;

	dirty_window_init(&win, addr, 4 * THP_PAGES);
	dirty_touch(&target, &win, 0, 4 * THP_PAGES);
	dirty_test_now(&svm, &win, "moved: a new mapping");
	protect_move(0, 3 * THP_PAGES);
	dirty_test_now(&svm, &win, "moved: away");
	protect_move(3 * THP_PAGES, 0);
	dirty_want(&win, THP_PAGES, 2 * THP_PAGES, DIRTY_MAYBE);
	dirty_touch(&target, &win, THP_PAGES + 5, 1);
	dirty_test_now(&svm, &win, "moved: and back");
	for (i = 0; i < 2; i++) {
		dirty_touch(&target, &win, THP_PAGES + 5, 1);
		dirty_touch(&target, &win, 5, 1);
		dirty_test_now(&svm, &win, "moved: still followed");
	}
	dirty_window_free(&win);
	win = all;
}

static void protect_test_thp(void)
{
	struct dirty_window all = win;
	unsigned long addr = target_map(&target, 4 * PMD_SIZE, MADV_HUGEPAGE);

	target_fill(&target, addr, 4 * PMD_SIZE, 1);
	if (!sys_is_thp(target.pid, addr))
		ksft_exit_fail_msg("no THP here\n");
	dirty_window_init(&win, addr, 4 * THP_PAGES);
	dirty_want(&win, 0, 4 * THP_PAGES, DIRTY_YES);
	dirty_test_now(&svm, &win, "THP: a new mapping");
	dirty_test_now(&svm, &win, "THP: nothing was written");
	dirty_touch(&target, &win, THP_PAGES + 17, 1);
	/* The split is logged as if all of it had changed. */
	dirty_want(&win, THP_PAGES, 17, DIRTY_MAYBE);
	dirty_want(&win, THP_PAGES + 18, THP_PAGES - 18, DIRTY_MAYBE);
	dirty_test_now(&svm, &win, "THP: one write, that huge page at most");
	dirty_touch(&target, &win, THP_PAGES + 18, 1);
	dirty_test_now(&svm, &win, "THP: the next write, one page");
	dirty_window_free(&win);
	win = all;
}

/* Not followed: all of it, each time. */
static void protect_test_hugetlb(void)
{
	struct dirty_window all = win;
	long addr;

	sys_hugetlb_pages(2);
	addr = target_sys(&target, SYS_mmap, 0, PMD_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	ksft_must(addr > 0);
	dirty_window_init(&win, addr, THP_PAGES);
	dirty_touch(&target, &win, 0, 1);
	dirty_want(&win, 0, THP_PAGES, DIRTY_YES);
	dirty_test_now(&svm, &win, "hugetlb: a new mapping");
	dirty_want(&win, 0, THP_PAGES, DIRTY_YES);
	dirty_test_now(&svm, &win, "hugetlb: again");
	target_sys(&target, SYS_munmap, addr, PMD_SIZE);
	dirty_window_free(&win);
	win = all;
}

/* What the task's own userfaultfd covers cannot be followed: it is never missed. */
static void protect_test_own_uffd(void)
{
	struct dirty_window all = win;
	unsigned long addr = target_map(&target, 64 * PAGE_SIZE,
					MADV_NOHUGEPAGE);
	long fd;

	dirty_window_init(&win, addr, 64);
	dirty_touch(&target, &win, 0, 32);
	fd = target_uffd(&target, addr, 64 * PAGE_SIZE);
	ksft_must(fd >= 0);
	dirty_want(&win, 32, 32, DIRTY_DROPPED);
	dirty_test_now(&svm, &win, "own userfaultfd: all there is, DIRTY");
	dirty_want(&win, 0, 32, DIRTY_YES);
	dirty_want(&win, 32, 32, DIRTY_DROPPED);
	dirty_test_now(&svm, &win, "own userfaultfd: each time");
	target_sys(&target, SYS_close, fd);
	dirty_want(&win, 0, 32, DIRTY_YES);
	dirty_want(&win, 32, 32, DIRTY_DROPPED);
	dirty_test_now(&svm, &win, "own userfaultfd: closed");
	dirty_touch(&target, &win, 3, 1);
	dirty_test_now(&svm, &win, "own userfaultfd: followed from then on");
	dirty_window_free(&win);
	win = all;
}

/* KiB of page tables of the target. */
static unsigned long protect_tables(void)
{
	unsigned long kib = 0;
	char line[256];
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/status", target.pid);
	file = fopen(line, "r");
	ksft_must(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "VmPTE: %lu", &kib);
	fclose(file);
	return kib;
}

/* A PAGEMAP_SCAN that asks for written pages alone makes page tables for holes, 128 MiB of them. */
static void protect_test_reserved(void)
{
	size_t len = 64UL << 30;
	unsigned long addr = target_map(&target, len, MADV_NOHUGEPAGE);
	struct dirty_window all = win;
	unsigned long before, after;
	int pagemap_fd;

	dirty_window_init(&win, addr + len / 2, 64);
	dirty_touch(&target, &win, 7, 1);
	before = protect_tables();
	/* It is new, so what holds nothing is said to be dropped. */
	dirty_want(&win, 0, 7, DIRTY_DROPPED);
	dirty_want(&win, 8, 56, DIRTY_DROPPED);
	dirty_test_now(&svm, &win, "64 GiB reserved, one page used");
	ksft_must(!svm_scan(&svm, SPLICE_VM_SCAN_TRACKED, addr, addr + len,
			    4096, &(struct svm_runs){}));
	dirty_touch(&target, &win, 9, 1);
	ksft_must(!svm_scan(&svm, SPLICE_VM_SCAN_TRACKED, addr, addr + len / 2,
			    4096, &(struct svm_runs){}));
	dirty_test_now(&svm, &win, "64 GiB reserved, another page");
	after = protect_tables();
	ksft_test_result((after - before) * 100 < before || after <= before,
			 "64 GiB reserved: %lu KiB of page tables, then %lu\n",
			 before, after);
	ksft_test_value(sys_pagemap_count(target.pid, win.addr, 64, PM_SWAP), 0,
			"64 GiB reserved: no hole looks like a swapped page\n");
	pagemap_fd = sys_proc_open(target.pid, "pagemap", O_RDONLY);
	wp_try_scan(pagemap_fd, win.addr, PMD_SIZE);
	ksft_test_result(sys_pagemap_count(target.pid, win.addr, 64, PM_SWAP),
			 "control: after a PAGEMAP_SCAN for written pages alone holes do\n");
	close(pagemap_fd);
	ksft_must(!target_sys(&target, SYS_munmap, addr, len));
	dirty_window_free(&win);
	win = all;
	ksft_must(!dirty_take(&svm, &win, 4096));
}

/* There is room for less than was found: nothing is lost, and nothing comes twice. */
static void protect_test_room(void)
{
	int i;

	for (i = 0; i < 20; i++)
		dirty_touch(&target, &win, 3 * i, 1);
	ksft_must(!dirty_take(&svm, &win, 7));
	ksft_test_result(dirty_is_as_wanted(&win),
			 "room for 7 runs, three times\n");
	dirty_want(&win, 0, PAGES, DIRTY_NONE);
}

static void protect_test_stop(void)
{
	ksft_test_result(sys_count_vmflags(target.pid, " uw"), "control: protected mappings are seen\n");
	ksft_test_value(svm_track_with(svm.fd, SPLICE_VM_TRACKER_SOFT_DIRTY),
			-EBUSY, "one tracker at a time\n");
	ksft_test_value(svm_stop_tracker(&svm), 0, "given up\n");
	ksft_test_value(svm_track_with(svm.fd, SPLICE_VM_TRACKER_NONE), 0,
			"TRACK NONE again\n");
	ksft_test_value(sys_count_vmflags(target.pid, " uw"), 0, "nothing is protected any more\n");
	ksft_test_value(dirty_take(&svm, &win, 100), -ENOTCONN,
			"SCAN TRACKED without a tracker\n");
	ksft_test_value(svm_track_with(svm.fd, SPLICE_VM_TRACKER_SOFT_DIRTY), 0,
			"the other tracker then\n");
	dirty_want(&win, 0, PAGES, DIRTY_CHANGED);
	dirty_test(&svm, &win, "its first SCAN says all");
	dirty_touch(&target, &win, 5, 3);
	/* Those that are still in swap, and were written as far as this tracker knows. */
	dirty_want(&win, 1000, 5, DIRTY_HELD);
	dirty_want(&win, 1006, 4, DIRTY_HELD);
	dirty_test(&svm, &win, "and then what was written");
}

static void protect_test_tracker(void)
{
	target_start(&target);
	dirty_window_init(&win, target_map(&target, LEN, MADV_NOHUGEPAGE),
			  PAGES);
	dirty_touch(&target, &win, 0, PAGES);
	svm_use_tracker(SPLICE_VM_TRACKER_EVENTS);
	svm_open(&svm, target.pid, true);
	dirty_test_now(&svm, &win, "the first SCAN says all");
	ksft_must(!dirty_take(&svm, &win, 4096));
	protect_test_exact();
	protect_test_changes();
	protect_test_moved();
	protect_test_thp();
	protect_test_hugetlb();
	protect_test_own_uffd();
	protect_test_room();
	protect_test_reserved();
	protect_test_stop();
	svm_close(&svm);
	target_stop(&target);
}

static void protect_test_refused(void)
{
	int mem_fd, fd;

	target_start(&target);
	fd = svm_open_device();
	mem_fd = sys_proc_open(target.pid, "mem", O_RDONLY);
	ksft_must(!svm_attach(fd, mem_fd, 0));
	close(mem_fd);
	ksft_test_value(svm_track_with(fd, SPLICE_VM_TRACKER_EVENTS), -EACCES,
			"the tracker wants a descriptor for writing\n");
	close(fd);
	if (!svm_has_tracker(SPLICE_VM_TRACKER_EVENTS)) {
		svm_open(&svm, target.pid, false);
		ksft_test_value(svm_start_tracker(&svm, SPLICE_VM_TRACKER_EVENTS),
				-EOPNOTSUPP, "a kernel without it\n");
		svm_close(&svm);
	}
	target_stop(&target);
}

/* --required: this kernel has the tracker, so that its absence is no answer. */
int main(int argc, char **argv)
{
	ksft_print_header();
	if (argc > 1 && !strcmp(argv[1], "--required") &&
	    !svm_has_tracker(SPLICE_VM_TRACKER_EVENTS))
		ksft_exit_fail_msg("no write-protect tracker\n");
	sys_swap_on(256);
	if (svm_has_tracker(SPLICE_VM_TRACKER_EVENTS))
		protect_test_tracker();
	protect_test_refused();
	ksft_finished();
}
