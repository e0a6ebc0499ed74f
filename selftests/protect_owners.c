// SPDX-License-Identifier: GPL-2.0
/*
 * Write-protection has one owner. The tracker does not touch the mappings of a userfaultfd of the
 * task's own, nor the writes that this userfaultfd waits for; nor does a second tracker of the
 * same task.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dirty.h"
#include "ksft.h"
#include "svm.h"
#include "sys.h"
#include "target.h"
#include "wp.h"

#define PAGES	64UL
#define LEN	(PAGES * PAGE_SIZE)

static struct target target;

static int owners_pagemap(void)
{
	int fd = sys_proc_open(target.pid, "pagemap", O_RDONLY);

	ksft_must(fd >= 0);
	return fd;
}

static unsigned long owners_scan_len(struct svm *s, unsigned long addr, size_t len)
{
	struct svm_runs runs = {};
	unsigned long pages;

	ksft_must(!svm_scan(s, SPLICE_VM_SCAN_TRACKED, addr, addr + len, 64, &runs));
	pages = svm_runs_pages(&runs, SPLICE_VM_RUN_DIRTY, 0);
	svm_runs_free(&runs);
	return pages;
}

static unsigned long owners_scan(struct svm *s, unsigned long addr)
{
	return owners_scan_len(s, addr, LEN);
}

/* Memory with a userfaultfd of its own, with the tracker's on both sides. */
static void owners_test_own(void)
{
	unsigned long before, own, after;
	int uffd, pagemap_fd = owners_pagemap();
	struct svm s;

	/* Three mappings, not one: the middle one is registered alone. */
	before = target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE);
	own = before + LEN;
	after = own + LEN;
	target_fill(&target, before, 3 * LEN, 1);
	svm_open(&s, target.pid, false);
	uffd = wp_uffd(&s);
	wp_register(uffd, own, LEN);
	wp_scan(pagemap_fd, own, LEN);
	ksft_must(!svm_start_tracker(&s, SPLICE_VM_TRACKER_EVENTS));
	ksft_test_value(owners_scan(&s, before), PAGES, "first SCAN: all before\n");
	ksft_test_value(owners_scan(&s, own), PAGES, "first SCAN: all of its own\n");
	ksft_test_value(owners_scan(&s, after), PAGES, "first SCAN: all after\n");

	target_fill(&target, before + PAGE_SIZE, PAGE_SIZE, 2);
	target_fill(&target, own + PAGE_SIZE, 3 * PAGE_SIZE, 2);
	target_fill(&target, after + PAGE_SIZE, 2 * PAGE_SIZE, 2);
	ksft_test_value(owners_scan_len(&s, before, 3 * LEN), 1 + PAGES + 2,
			"before, after: what was written; its own: all, each time\n");
	ksft_test_value(wp_scan(pagemap_fd, own, LEN), 3,
			"and the task learns what it wrote to its own\n");
	ksft_test_value(wp_scan(pagemap_fd, own, LEN), 0, "once\n");
	ksft_test_value(owners_scan(&s, before), 0, "before: nothing more\n");
	/* The control: a PAGEMAP_SCAN over what is ours does take it from us. */
	target_fill(&target, before + PAGE_SIZE, PAGE_SIZE, 3);
	ksft_test_value(wp_scan(pagemap_fd, before, LEN), 1, "control: another's look\n");
	ksft_test_value(owners_scan(&s, before), 0, "control: takes it from us\n");
	close(uffd);
	close(pagemap_fd);
	svm_close(&s);
}

/*
 * A mapping has one userfaultfd. The tracker that comes second takes nothing from the first: it
 * sees all of the mapping each time, until the first one is given up.
 */
static void owners_test_second(void)
{
	unsigned long addr = target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE);
	struct svm first, second;

	target_fill(&target, addr, LEN, 1);
	svm_open(&first, target.pid, false);
	svm_open(&second, target.pid, false);
	ksft_must(!svm_start_tracker(&first, SPLICE_VM_TRACKER_EVENTS));
	ksft_test_value(owners_scan(&first, addr), PAGES, "first tracker: all\n");
	ksft_must(!svm_start_tracker(&second, SPLICE_VM_TRACKER_EVENTS));
	ksft_test_value(owners_scan(&second, addr), PAGES, "second tracker: all\n");
	target_fill(&target, addr + PAGE_SIZE, PAGE_SIZE, 2);
	ksft_test_value(owners_scan(&second, addr), PAGES,
			"second tracker: all, each time\n");
	ksft_test_value(owners_scan(&first, addr), 1,
			"first tracker: what was written\n");
	ksft_must(!svm_stop_tracker(&first));
	ksft_test_value(owners_scan(&second, addr), PAGES,
			"second tracker, when the first is given up: all once more\n");
	target_fill(&target, addr + 2 * PAGE_SIZE, 2 * PAGE_SIZE, 3);
	ksft_test_value(owners_scan(&second, addr), 2,
			"second tracker: and then what was written\n");
	svm_close(&second);
	svm_close(&first);
}

/* The process that tracks is killed; another one holds duplicates and lifts the protection. */
static void owners_test_killed(void)
{
	unsigned long addr = target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE);
	struct svm s;
	int status;
	pid_t pid;

	target_fill(&target, addr, LEN, 1);
	svm_open(&s, target.pid, false);
	ksft_must(!svm_start_tracker(&s, SPLICE_VM_TRACKER_EVENTS));
	pid = fork();
	ksft_must(pid >= 0);
	if (!pid) {
		owners_scan(&s, addr);
		raise(SIGKILL);
	}
	ksft_must(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	ksft_test_result(sys_count_vmflags(target.pid, " uw"),
			 "killed: what it protected stays so\n");
	uffd_cover_unprotect(s.fd, s.wp.cover.uffd);
	ksft_test_value(sys_count_vmflags(target.pid, " uw"), 0,
			"killed: a holder of duplicates lifts it\n");
	svm_close(&s);
}

/* Another userfaultfd takes the place of one that may be wrong; no drop is lost meanwhile. */
static void owners_test_renewed(void)
{
	unsigned long addr = target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE);
	struct svm_runs runs = {};
	struct svm s;

	target_fill(&target, addr, LEN, 1);
	svm_open(&s, target.pid, false);
	ksft_must(!svm_start_tracker(&s, SPLICE_VM_TRACKER_EVENTS));
	ksft_must(owners_scan(&s, addr) == PAGES);
	target_madvise(&target, addr, PAGE_SIZE, MADV_DONTNEED);
	s.wp.broken = true;
	ksft_must(!svm_scan(&s, SPLICE_VM_SCAN_TRACKED, addr, addr + LEN, 64, &runs));
	ksft_test_value(svm_runs_pages(&runs, SPLICE_VM_RUN_DIRTY, 0), PAGES - 1,
			"renewed: all that there is\n");
	ksft_test_value(svm_runs_pages(&runs, SPLICE_VM_RUN_DROPPED, 0), 1,
			"renewed: and the drop\n");
	svm_runs_free(&runs);
	target_fill(&target, addr + PAGE_SIZE, PAGE_SIZE, 2);
	ksft_test_value(owners_scan(&s, addr), 1, "renewed: followed\n");
	svm_close(&s);
}

int main(void)
{
	ksft_print_header();
	if (!svm_has_tracker(SPLICE_VM_TRACKER_EVENTS)) {
		ksft_test_result(true, "no write-protect tracker on this kernel\n");
		ksft_finished();
	}
	target_start(&target);
	owners_test_own();
	owners_test_second();
	owners_test_killed();
	owners_test_renewed();
	target_stop(&target);
	ksft_finished();
}
