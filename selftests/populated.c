// SPDX-License-Identifier: GPL-2.0
/* SCAN POPULATED lists the populated pages in order of addresses, and clears no dirty page. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dirty.h"
#include "ksft.h"
#include "target.h"

#define PART		16UL
#define THP_PAGES	(PMD_SIZE / PAGE_SIZE)

static struct target target;
static struct svm svm;

/* Runs may be cut anywhere: put together what belongs together. */
static void populated_merge(struct svm_runs *runs)
{
	size_t i, j = 0;

	for (i = 1; i < runs->nr; i++) {
		struct splice_vm_run *last = &runs->v[j], *run = &runs->v[i];

		if (last->flags == run->flags &&
		    last->addr + last->nr_pages * PAGE_SIZE == run->addr)
			last->nr_pages += run->nr_pages;
		else
			runs->v[++j] = *run;
	}
	if (runs->nr)
		runs->nr = j + 1;
}

static bool populated_is(unsigned long addr, unsigned long len,
			 const struct splice_vm_run *want, size_t nr,
			 unsigned int cap, struct svm_runs *runs)
{
	bool right;
	size_t i;

	right = !svm_scan(&svm, SPLICE_VM_SCAN_POPULATED, addr, addr + len, cap,
			  runs);
	populated_merge(runs);
	right &= runs->nr == nr;
	for (i = 0; right && i < nr; i++)
		right = runs->v[i].addr == addr + want[i].addr &&
			runs->v[i].nr_pages == want[i].nr_pages &&
			runs->v[i].flags == want[i].flags;
	return right;
}

static void populated_expect(unsigned long addr, unsigned long len,
			     const struct splice_vm_run *want, size_t nr,
			     unsigned int cap, const char *name)
{
	struct svm_runs runs = {};

	if (!ksft_test_result(populated_is(addr, len, want, nr, cap, &runs),
			      "%s\n", name))
		svm_runs_print(&runs);
	svm_runs_free(&runs);
}

static void populated_test_small(void)
{
	const struct splice_vm_run want[] = {
		{ PART * PAGE_SIZE, PART, SPLICE_VM_RUN_PRESENT },
		{ 2 * PART * PAGE_SIZE, PART,
		  SPLICE_VM_RUN_PRESENT | SPLICE_VM_RUN_ZERO },
		{ 4 * PART * PAGE_SIZE, PART, SPLICE_VM_RUN_SWAPPED },
		{ 511 * PAGE_SIZE, 2, SPLICE_VM_RUN_PRESENT },
	};
	unsigned long part = PART * PAGE_SIZE;
	unsigned long addr = target_map(&target, 2 * PMD_SIZE, MADV_NOHUGEPAGE);
	struct svm_runs runs = {};

	target_fill(&target, addr + part, part, 1);
	target_fill(&target, addr + 2 * part, part, 0);
	target_fill(&target, addr + 4 * part, part, 1);
	target_page_out(&target, addr + 4 * part, part);
	target_fill(&target, addr + 511 * PAGE_SIZE, 2 * PAGE_SIZE, 1);
	populated_expect(addr, 2 * PMD_SIZE, want, ARRAY_SIZE(want), 1000,
			 "holes, pages, zero pages, swapped pages");
	populated_expect(addr, 2 * PMD_SIZE, want, ARRAY_SIZE(want), 1,
			 "the same, one run a call");
	target_sys(&target, SYS_mprotect, addr, part * 4, PROT_NONE);
	populated_expect(addr, 2 * PMD_SIZE, want, ARRAY_SIZE(want), 2,
			 "the same with PROT_NONE");
	target_fill(&target, addr + 8 * part, PAGE_SIZE, 1);
	ksft_test_result(!populated_is(addr, 2 * PMD_SIZE, want,
				       ARRAY_SIZE(want), 1000, &runs),
			 "control: a page more is seen\n");
	svm_runs_free(&runs);
	target_sys(&target, SYS_munmap, addr, 2 * PMD_SIZE);
	populated_expect(addr, 2 * PMD_SIZE, want, 0, 10, "unmapped: nothing");
}

static void populated_test_huge(void)
{
	const struct splice_vm_run thp = {
		0, THP_PAGES, SPLICE_VM_RUN_PRESENT | SPLICE_VM_RUN_HUGE
	};
	const struct splice_vm_run zero = {
		0, THP_PAGES, SPLICE_VM_RUN_PRESENT | SPLICE_VM_RUN_HUGE |
			      SPLICE_VM_RUN_ZERO
	};
	unsigned long addr = target_map(&target, 4 * PMD_SIZE, MADV_HUGEPAGE);
	long huge;

	target_fill(&target, addr, PAGE_SIZE, 1);
	if (!sys_is_thp(target.pid, addr))
		ksft_exit_fail_msg("no THP here\n");
	populated_expect(addr, 2 * PMD_SIZE, &thp, 1, 10, "THP");
	target_fill(&target, addr + 2 * PMD_SIZE, PAGE_SIZE, 0);
	populated_expect(addr + 2 * PMD_SIZE, 2 * PMD_SIZE, &zero, 1, 10,
			 "huge zero page");
	huge = target_sys(&target, SYS_mmap, 0, PMD_SIZE,
			  PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	ksft_must(huge > 0);
	populated_expect(huge, PMD_SIZE, &thp, 1, 10, "hugetlb, as a whole");
}

static void populated_test_file(void)
{
	const struct splice_vm_run shared = {
		0, PART, SPLICE_VM_RUN_PRESENT | SPLICE_VM_RUN_FILE |
			 SPLICE_VM_RUN_UNTRACKED
	};
	const struct splice_vm_run own[] = {
		{ 0, PART, SPLICE_VM_RUN_PRESENT },
		{ PART * PAGE_SIZE, PART,
		  SPLICE_VM_RUN_PRESENT | SPLICE_VM_RUN_FILE },
	};
	unsigned long part = PART * PAGE_SIZE;
	long fd = target_sys(&target, SYS_memfd_create, (unsigned long)"p", 0);
	long addr;

	target_sys(&target, SYS_ftruncate, fd, 2 * part);
	addr = target_sys(&target, SYS_mmap, 0, 2 * part,
			  PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	ksft_must(addr > 0);
	target_fill(&target, addr, part, 1);
	populated_expect(addr, 2 * part, &shared, 1, 10, "memfd, shared");
	target_fill(&target, addr, 2 * part, 1);
	target_sys(&target, SYS_munmap, addr, 2 * part);
	addr = target_sys(&target, SYS_mmap, 0, 2 * part,
			  PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
	ksft_must(addr > 0);
	target_fill(&target, addr, 2 * part, 0);
	target_fill(&target, addr, part, 1);
	populated_expect(addr, 2 * part, own, 2, 10,
			 "private file: written, and only read");
}

/* All of the address space: in order, within user space, done at the end. */
static void populated_test_all(void)
{
	struct svm_runs runs = {};
	unsigned long addr = target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE);
	bool sorted = true, seen = false;
	size_t i;

	target_fill(&target, addr, PAGE_SIZE, 1);
	ksft_test_value(svm_scan(&svm, SPLICE_VM_SCAN_POPULATED, 0, SVM_END, 7,
				 &runs), 0, "SCAN of all\n");
	for (i = 0; i < runs.nr; i++) {
		if (i)
			sorted &= runs.v[i].addr >= runs.v[i - 1].addr +
				  runs.v[i - 1].nr_pages * PAGE_SIZE;
		seen |= runs.v[i].addr == addr;
	}
	ksft_test_result(sorted, "%zu runs in order\n", runs.nr);
	ksft_test_result(seen, "our page is among them\n");
	svm_runs_free(&runs);
}

static void populated_test_takes_nothing(void)
{
	struct dirty_window win;

	dirty_window_init(&win, target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE),
			  64);
	target_fill(&target, win.addr, 64 * PAGE_SIZE, 1);
	ksft_must(!svm_track(svm.fd));
	ksft_must(!dirty_take(&svm, &win, 100));
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 100));
	target_fill(&target, win.addr, PAGE_SIZE, 2);
	dirty_want(&win, 0, 1, DIRTY_YES);
	svm_epoch(&svm);
	populated_expect(win.addr, 64 * PAGE_SIZE, &(struct splice_vm_run){
			 0, 64, SPLICE_VM_RUN_PRESENT }, 1, 10,
			 "POPULATED while tracking");
	dirty_test_now(&svm, &win, "it takes nothing from TRACKED");
	dirty_window_free(&win);
}

int main(void)
{
	ksft_print_header();
	sys_swap_on(256);
	sys_hugetlb_pages(2);
	target_start(&target);
	svm_open(&svm, target.pid, false);
	populated_test_small();
	populated_test_huge();
	populated_test_file();
	populated_test_all();
	populated_test_takes_nothing();
	svm_close(&svm);
	target_stop(&target);
	sys_hugetlb_pages(0);
	ksft_finished();
}
