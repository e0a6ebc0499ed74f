// SPDX-License-Identifier: GPL-2.0
/*
 * SCAN TRACKED reports exactly the written pages, no matter which process ends the epochs. The test
 * counts HELD pages (DIRTY only because of extra references) apart, since any page can be on its
 * way to an LRU list.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dirty.h"
#include "ksft.h"
#include "net.h"
#include "target.h"

#define PAGES	2048UL
#define LEN	(PAGES * PAGE_SIZE)

static struct target target;
static struct svm svm;
static struct dirty_window win;

static void exact_test_plain(void)
{
	__u64 seed = 42;
	int round, i;

	dirty_test(&svm, &win, "nothing was written");
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 100; i++)
			dirty_touch(&target, &win, sys_random(&seed) % PAGES, 1);
		dirty_test(&svm, &win, "100 random pages");
	}
	dirty_touch(&target, &win, 0, PAGES);
	dirty_test(&svm, &win, "all pages");
	dirty_touch(&target, &win, 0, 1);
	dirty_touch(&target, &win, PAGES - 1, 1);
	dirty_touch(&target, &win, 511, 2);
	dirty_test(&svm, &win, "edges of the window and of a page table");
	target_fill(&target, win.addr, LEN, 0);
	dirty_test(&svm, &win, "reads do not count");
}

static void exact_test_epochs(void)
{
	struct pollfd p = { svm.fd, POLLIN, 0 };
	struct splice_vm_info info;
	__u64 epochs;

	dirty_touch(&target, &win, 7, 1);
	dirty_want(&win, 7, 1, DIRTY_NONE);
	ksft_test_value(poll(&p, 1, 0), 0, "poll: no epoch has ended\n");
	dirty_test_now(&svm, &win, "the running epoch is not in it");
	dirty_want(&win, 7, 1, DIRTY_YES);
	svm_info(svm.fd, &info);
	epochs = info.epochs;
	svm_epoch(&svm);
	ksft_test_result(poll(&p, 1, 0) == 1 && p.revents == POLLIN,
			 "poll: an epoch has ended\n");
	dirty_test_now(&svm, &win, "but then it is");
	ksft_test_value(poll(&p, 1, 0), 0, "poll: SCAN has taken it\n");
	dirty_touch(&target, &win, 8, 1);
	svm_epoch(&svm);
	dirty_touch(&target, &win, 9, 1);
	svm_epoch(&svm);
	svm_epoch(&svm);
	dirty_test(&svm, &win, "epochs add up");
	svm_info(svm.fd, &info);
	ksft_test_value(info.epochs - epochs, 5, "INFO counts epochs\n");
}

static void exact_test_foreign(void)
{
	pid_t pid;

	dirty_touch(&target, &win, 100, 50);
	pid = fork();
	ksft_must(pid >= 0);
	if (!pid) {
		int fd = sys_proc_open(target.pid, "clear_refs", O_WRONLY);

		_exit(write(fd, "4", 1) != 1);
	}
	waitpid(pid, NULL, 0);
	dirty_test_now(&svm, &win, "another process wrote clear_refs");
	dirty_touch(&target, &win, 3, 1);
	/* "1" to "3" clear other bits: none of our business. */
	ksft_must(write(svm.refs_fd, "1", 1) == 1);
	dirty_test(&svm, &win, "clear_refs 1 loses nothing");
}

static long exact_read_fn(const unsigned long *args)
{
	int fd = open("/dev/zero", O_RDONLY);
	long ret = read(fd, (void *)args[0], args[1]);

	close(fd);
	return ret;
}

static void exact_test_writers(void)
{
	long word = 1;
	struct iovec local = { &word, sizeof(word) };
	struct iovec remote = { (void *)dirty_addr(&win, 20), sizeof(word) };
	int mem_fd = sys_proc_open(target.pid, "mem", O_RDWR);

	ksft_must(mem_fd >= 0);
	ksft_must(process_vm_writev(target.pid, &local, 1, &remote, 1, 0) == 8);
	dirty_want(&win, 20, 1, DIRTY_YES);
	dirty_test(&svm, &win, "process_vm_writev");
	ksft_must(pwrite(mem_fd, &word, 8, dirty_addr(&win, 21)) == 8);
	dirty_want(&win, 21, 1, DIRTY_YES);
	dirty_test(&svm, &win, "write to /proc/PID/mem");
	close(mem_fd);
	target_do(&target, exact_read_fn, dirty_addr(&win, 30) + 8, PAGE_SIZE);
	dirty_want(&win, 30, 2, DIRTY_YES);
	dirty_test(&svm, &win, "read() of the task");
	target_fork_write(&target, dirty_addr(&win, 40));
	dirty_test(&svm, &win, "writes of a forked child");
	dirty_touch(&target, &win, 40, 2);
	dirty_test(&svm, &win, "write after a fork");
	target_sys(&target, SYS_mprotect, dirty_addr(&win, 50), 50 * PAGE_SIZE,
		   PROT_READ);
	target_sys(&target, SYS_mprotect, dirty_addr(&win, 50), 50 * PAGE_SIZE,
		   PROT_READ | PROT_WRITE);
	dirty_touch(&target, &win, 60, 1);
	dirty_want_edge(&win, 50);
	dirty_test(&svm, &win, "write after mprotect");
}

/* A page table's worth in the middle: elsewhere the cut of a mapping is logged itself. */
static unsigned long exact_table(void)
{
	return (PMD_SIZE - win.addr % PMD_SIZE) % PMD_SIZE / PAGE_SIZE;
}

static void exact_protect(int prot)
{
	ksft_must(!target_sys(&target, SYS_mprotect, dirty_addr(&win, exact_table()),
			      PMD_SIZE, prot));
}

/*
 * A mapping that grew has VM_SOFTDIRTY: then mprotect makes entries writable whose soft-dirty
 * bit is clear, and no fault tells of the write.
 */
static void exact_expose(unsigned long page)
{
	unsigned long last = dirty_addr(&win, PAGES - 1);

	/* Ours alone again, whoever forked before. */
	dirty_touch(&target, &win, exact_table(), PMD_SIZE / PAGE_SIZE);
	dirty_test(&svm, &win, "a page table's worth");
	target_sys(&target, SYS_munmap, last, PAGE_SIZE);
	ksft_must(target_sys(&target, SYS_mmap, last, PAGE_SIZE,
			     PROT_READ | PROT_WRITE, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			     0) == (long)last);
	dirty_want(&win, PAGES - 1, 1, DIRTY_ANY);
	dirty_want_edge(&win, PAGES - 1);
	exact_protect(PROT_READ);
	exact_protect(PROT_READ | PROT_WRITE);
	dirty_want(&win, exact_table(), PMD_SIZE / PAGE_SIZE, DIRTY_MAYBE);
	dirty_touch(&target, &win, exact_table() + page, 1);
}

/*
 * Takes the right to write away, and with it what told of the write. The mapping is made writable
 * again, or it would count as written by force; pages that a child shares are not, with it.
 */
static void exact_unexpose(void)
{
	exact_protect(PROT_READ);
	target_fork_write(&target, dirty_addr(&win, PAGES - 2));
}

/*
 * A window of its own: a mapping grows only over one that was advised the same, so huge pages
 * are kept out otherwise.
 */
static void exact_test_exposed(void)
{
	struct dirty_window all = win;
	unsigned long addr;

	target_sys(&target, SYS_prctl, PR_SET_THP_DISABLE, 1, 0, 0, 0);
	addr = target_map(&target, LEN, MADV_NORMAL);
	dirty_window_init(&win, addr, PAGES);
	dirty_touch(&target, &win, 0, PAGES);
	dirty_test(&svm, &win, "a new mapping");
	exact_expose(70);
	dirty_test(&svm, &win, "write without a fault");
	exact_expose(71);
	exact_unexpose();
	exact_protect(PROT_READ | PROT_WRITE);
	dirty_test(&svm, &win, "write without a fault, then made read-only");
	/* Until it is taken away the right can be used: that is for the epoch's end to tell. */
	exact_expose(73);
	exact_unexpose();
	ksft_must(!dirty_take(&svm, &win, 64));
	exact_protect(PROT_READ | PROT_WRITE);
	dirty_test(&svm, &win, "write without a fault, made read-only, then a SCAN");
	exact_expose(72);
	target_fork_write(&target, dirty_addr(&win, PAGES - 2));
	dirty_test(&svm, &win, "write without a fault, then a fork");
	dirty_touch(&target, &win, PAGES - 1, 1);
	dirty_test(&svm, &win, "the page that was mapped anew");
	target_sys(&target, SYS_munmap, addr, LEN);
	target_sys(&target, SYS_prctl, PR_SET_THP_DISABLE, 0, 0, 0, 0);
	dirty_window_free(&win);
	win = all;
}

static void exact_test_swap(void)
{
	dirty_touch(&target, &win, 1000, 10);
	target_page_out(&target, dirty_addr(&win, 1000), 20 * PAGE_SIZE);
	/* Reclaim unmaps: of a clean page that looks like a change. */
	dirty_want(&win, 1010, 10, DIRTY_MAYBE);
	dirty_test(&svm, &win, "written, then swapped");
	/* Whoever held a page that went away may still do. */
	dirty_want(&win, 1000, 10, DIRTY_HELD);
	dirty_test(&svm, &win, "swapped: HELD, once");
	dirty_test(&svm, &win, "still swapped");
	dirty_touch(&target, &win, 1005, 1);
	target_fill(&target, dirty_addr(&win, 1010), 5 * PAGE_SIZE, 0);
	dirty_test(&svm, &win, "written when it came back");
}

/* However a SCAN is cut, it loses nothing and says nothing twice. */
static void exact_test_cut(void)
{
	struct splice_vm_scan bad = {
		.size = sizeof(bad),
		.flags = SPLICE_VM_SCAN_TRACKED,
		.start = win.addr,
		.end = win.addr + LEN,
		.runs = 8,
		.nr_runs = 100,
	};
	struct dirty_window part = win;
	unsigned long i;

	for (i = 0; i < PAGES; i += 3)
		dirty_touch(&target, &win, i, 1);
	svm_epoch(&svm);
	ksft_test_value(svm_ioctl(svm.fd, SPLICE_VM_SCAN, &bad), -EFAULT,
			"SCAN to a bad address\n");
	part.nr = 700;
	ksft_test_result(!dirty_take(&svm, &part, 1) &&
			 dirty_is_as_wanted(&part),
			 "SCAN of a part, one run a call\n");
	dirty_want(&win, 0, 700, DIRTY_NONE);
	dirty_test_now(&svm, &win, "SCAN of all gives the rest");
}

/* A window of its own: over-report is a whole huge page, and no more. */
static void exact_test_thp(void)
{
	struct dirty_window all = win;
	unsigned long addr = target_map(&target, 4 * PMD_SIZE, MADV_HUGEPAGE);
	unsigned long i, thp = PMD_SIZE / PAGE_SIZE;

	target_fill(&target, addr, 4 * PMD_SIZE, 1);
	for (i = 0; i < 4; i++) {
		if (!sys_is_thp(target.pid, addr + i * PMD_SIZE))
			ksft_exit_fail_msg("no THP here\n");
	}
	dirty_window_init(&win, addr, 4 * thp);
	dirty_want(&win, 0, 4 * thp, DIRTY_YES);
	dirty_test(&svm, &win, "THP: a new mapping");
	dirty_test(&svm, &win, "THP: nothing was written");
	dirty_touch(&target, &win, thp + 17, 1);
	dirty_want(&win, thp, thp, DIRTY_YES);
	dirty_test(&svm, &win, "THP: one write, one huge page");
	dirty_window_free(&win);
	win = all;
}

/* As direct I/O of 6.1 holds them: by plain reference. */
static void exact_test_memfd_held(void)
{
	int pair[2];

	net_unix_pair(pair);
	dirty_touch(&target, &win, 10, 16);
	ksft_must(svm_send_one(svm.fd, pair[0], dirty_addr(&win, 10), 16, NULL) ==
		  16);
	dirty_test(&svm, &win, "memfd: written, and then in a socket");
	dirty_want(&win, 10, 16, DIRTY_HELD);
	dirty_test(&svm, &win, "memfd: pages that stay in a socket are HELD");
	close(pair[0]);
	close(pair[1]);
	sys_drain_lru();
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
}

/* What another task writes is not seen, and the session says that it cannot be. */
static void exact_test_memfd_other(long fd)
{
	struct svm_runs runs = {};
	char name[32];
	long *other;
	int ours;

	snprintf(name, sizeof(name), "fd/%ld", fd);
	ours = sys_proc_open(target.pid, name, O_RDWR);
	other = mmap(NULL, 256 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		     ours, 0);
	ksft_must(ours >= 0 && other != MAP_FAILED);
	WRITE_ONCE(other[20 * PAGE_SIZE / sizeof(long)], 1);
	ksft_must(!svm_scan(&svm, SPLICE_VM_SCAN_POPULATED, win.addr, win.addr +
			    256 * PAGE_SIZE, 100, &runs));
	ksft_test_result(svm_runs_pages(&runs, SPLICE_VM_RUN_UNTRACKED, 0) >=
			 100 && !svm_runs_pages(&runs, 0,
						SPLICE_VM_RUN_UNTRACKED),
			 "memfd: writes of others are said to be unseen\n");
	svm_runs_free(&runs);
	munmap(other, 256 * PAGE_SIZE);
	close(ours);
}

/* A mapping over a read-only descriptor is shared too, though it has not VM_SHARED. */
static void exact_test_memfd_readonly(long fd)
{
	struct dirty_window all = win;
	struct svm_runs runs = {};
	long ro, addr;

	snprintf(target.shared, TARGET_SHARED, "/proc/self/fd/%ld", fd);
	ro = target_sys(&target, SYS_openat, AT_FDCWD, (unsigned long)target.shared,
			O_RDONLY);
	addr = target_sys(&target, SYS_mmap, 0, 50 * PAGE_SIZE, PROT_READ,
			  MAP_SHARED, ro);
	ksft_must(ro >= 0 && addr > 0);
	dirty_window_init(&win, addr, 50);
	target_fill(&target, addr, 50 * PAGE_SIZE, 0);
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
	ksft_must(!svm_scan(&svm, SPLICE_VM_SCAN_POPULATED, addr,
			    addr + 50 * PAGE_SIZE, 100, &runs));
	ksft_test_result(svm_runs_pages(&runs, SPLICE_VM_RUN_UNTRACKED, 0) == 50,
			 "memfd, read-only: others are said to write\n");
	svm_runs_free(&runs);
	target_madvise(&target, addr, 50 * PAGE_SIZE, MADV_DONTNEED);
	dirty_want(&win, 0, 50, DIRTY_MAYBE);
	dirty_test(&svm, &win, "memfd, read-only: not DROPPED while mapped");
	dirty_window_free(&win);
	win = all;
}

static void exact_test_memfd(void)
{
	struct dirty_window all = win;
	long fd = target_sys(&target, SYS_memfd_create, (unsigned long)"m", 0);
	long addr;

	target_sys(&target, SYS_ftruncate, fd, 256 * PAGE_SIZE);
	addr = target_sys(&target, SYS_mmap, 0, 256 * PAGE_SIZE,
			  PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	ksft_must(addr > 0);
	dirty_window_init(&win, addr, 256);
	dirty_touch(&target, &win, 0, 100);
	dirty_want(&win, 100, 156, DIRTY_ANY);
	dirty_test(&svm, &win, "memfd: a new mapping");
	dirty_test(&svm, &win, "memfd: nothing was written");
	dirty_touch(&target, &win, 50, 60);
	dirty_test(&svm, &win, "memfd: 60 pages");
	exact_test_memfd_held();
	exact_test_memfd_other(fd);
	exact_test_memfd_readonly(fd);
	dirty_window_free(&win);
	win = all;
}

/* The comparison must see a page too many and a page too few. */
static void exact_test_control(void)
{
	dirty_touch(&target, &win, 77, 1);
	dirty_want(&win, 77, 1, DIRTY_NONE);
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
	ksft_test_result(!dirty_is_as_wanted(&win),
			 "control: a page too many is seen\n");
	dirty_touch(&target, &win, 78, 1);
	svm_epoch(&svm);
	/* Somebody takes it away. */
	ksft_must(!dirty_take(&svm, &win, 4096));
	ksft_must(!dirty_take(&svm, &win, 4096));
	ksft_test_result(!dirty_is_as_wanted(&win),
			 "control: a page too few is seen\n");
	dirty_want(&win, 0, PAGES, DIRTY_NONE);
}

int main(void)
{
	ksft_print_header();
	sys_swap_on(256);
	target_start(&target);
	dirty_window_init(&win, target_map(&target, LEN, MADV_NOHUGEPAGE),
			  PAGES);
	dirty_touch(&target, &win, 0, PAGES);
	svm_open(&svm, target.pid, true);
	dirty_test_now(&svm, &win, "the first SCAN says all");
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));

	exact_test_plain();
	exact_test_epochs();
	exact_test_foreign();
	exact_test_writers();
	exact_test_exposed();
	exact_test_swap();
	exact_test_cut();
	exact_test_thp();
	exact_test_memfd();
	exact_test_control();
	svm_close(&svm);
	target_stop(&target);
	ksft_finished();
}
