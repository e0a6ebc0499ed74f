// SPDX-License-Identifier: GPL-2.0
/*
 * Write-protection has one owner: the tracker leaves alone what a userfaultfd of the task's own
 * protects, and what that wants to know of its writes; and there is one tracker a task.
 */
#include <errno.h>
#include <fcntl.h>
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
	ksft_must(!svm_track_with(s.fd, SPLICE_VM_TRACKER_PROTECT));
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

static void owners_test_second(void)
{
	struct svm first, second;
	struct target other;
	struct svm on_other;

	target_start(&other);
	svm_open(&first, target.pid, false);
	svm_open(&second, target.pid, false);
	svm_open(&on_other, other.pid, false);
	ksft_test_value(svm_track_with(first.fd, SPLICE_VM_TRACKER_PROTECT), 0,
			"a tracker\n");
	ksft_test_value(svm_track_with(second.fd, SPLICE_VM_TRACKER_PROTECT), -EBUSY,
			"a second one on the same task\n");
	ksft_test_value(svm_track_with(on_other.fd, SPLICE_VM_TRACKER_PROTECT), 0,
			"one on another task\n");
	ksft_test_value(svm_track_with(first.fd, SPLICE_VM_TRACKER_NONE), 0,
			"the first ends\n");
	ksft_test_value(svm_track_with(second.fd, SPLICE_VM_TRACKER_PROTECT), 0,
			"the second one begins\n");
	svm_close(&second);
	ksft_test_value(svm_track_with(first.fd, SPLICE_VM_TRACKER_PROTECT), 0,
			"and the first again, when the second is closed\n");
	svm_close(&on_other);
	svm_close(&first);
	target_stop(&other);
}

/* In a child, which has the session but an address space of its own. Return: its errno */
static int owners_by_child(const struct svm *s, int (*call)(const struct svm *s))
{
	int status;
	pid_t pid = fork();

	ksft_must(pid >= 0);
	if (!pid)
		_exit(-call(s));
	ksft_must(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static int owners_try_track(const struct svm *s)
{
	return svm_track_with(s->fd, SPLICE_VM_TRACKER_PROTECT);
}

static int owners_try_scan(const struct svm *s)
{
	struct svm_runs runs = {};
	struct svm copy = *s;

	return svm_scan(&copy, SPLICE_VM_SCAN_TRACKED, 0, SVM_END, 64, &runs);
}

static int owners_try_list(const struct svm *s)
{
	struct svm_runs runs = {};
	struct svm copy = *s;

	return svm_scan(&copy, SPLICE_VM_SCAN_POPULATED, 0, SVM_END, 64, &runs);
}

/* What the tracker asks the kernel for lies in memory of whoever calls: not anybody may. */
static void owners_test_handed_on(void)
{
	unsigned long addr = target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE);
	struct svm s;

	target_fill(&target, addr, LEN, 1);
	svm_open(&s, target.pid, false);
	ksft_test_value(owners_by_child(&s, owners_try_track), -EACCES,
			"handed on: TRACK\n");
	ksft_must(!svm_track_with(s.fd, SPLICE_VM_TRACKER_PROTECT));
	ksft_must(owners_scan(&s, addr) == PAGES);
	target_fill(&target, addr, PAGE_SIZE, 2);
	ksft_test_value(owners_by_child(&s, owners_try_scan), -EACCES,
			"handed on: SCAN\n");
	ksft_test_value(owners_by_child(&s, owners_try_list), 0,
			"handed on: SCAN POPULATED, which asks for nothing\n");
	ksft_test_value(owners_scan(&s, addr), 1, "who did ATTACH goes on\n");
	svm_close(&s);
}

int main(void)
{
	ksft_print_header();
	if (!svm_has_tracker(SPLICE_VM_TRACKER_PROTECT)) {
		ksft_test_result(true, "no write-protect tracker on this kernel\n");
		ksft_finished();
	}
	target_start(&target);
	owners_test_own();
	owners_test_second();
	owners_test_handed_on();
	target_stop(&target);
	ksft_finished();
}
