// SPDX-License-Identifier: GPL-2.0
/*
 * A debugger writes to read-only memory (FOLL_FORCE). In a mapping with VM_SOFTDIRTY the write
 * passes without a fault and sets no bit. A mapping gets the flag by a merge with a new mapping,
 * and keeps the flag when the new part is cut off again. clear_refs clears the flag before the
 * module can look.
 */
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "dirty.h"
#include "ksft.h"
#include "target.h"

/* In the window: a page that is always writable, room, what is read-only, and what comes. */
#define PART	32UL
#define OLD	PART
#define NEW	(2 * PART)
#define POKED	(OLD + 5)

static struct target target;
static struct svm svm;
static struct dirty_window win;

/* What is accounted is not merged with what was never written. */
static void forced_map(unsigned long page, unsigned long nr)
{
	long addr = dirty_addr(&win, page);

	ksft_must(target_sys(&target, SYS_mmap, addr, nr * PAGE_SIZE,
			     PROT_READ | PROT_WRITE, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			     0) == addr);
}

static void forced_protect(unsigned long page, unsigned long nr, int prot)
{
	ksft_must(!target_sys(&target, SYS_mprotect, dirty_addr(&win, page),
			      nr * PAGE_SIZE, prot));
}

static void forced_unmap(unsigned long page, unsigned long nr)
{
	ksft_must(!target_sys(&target, SYS_munmap, dirty_addr(&win, page),
			      nr * PAGE_SIZE));
}

/* As a debugger: newer kernels let nobody else write by force. */
static void forced_poke(void)
{
	int status;

	ksft_must(!ptrace(PTRACE_ATTACH, target.pid, NULL, NULL));
	ksft_must(waitpid(target.pid, &status, __WALL) == target.pid);
	ksft_must(WIFSTOPPED(status));
	ksft_must(!ptrace(PTRACE_POKEDATA, target.pid, dirty_addr(&win, POKED),
			  0x5aUL));
	ksft_must(!ptrace(PTRACE_DETACH, target.pid, NULL, NULL));
}

/* A mapping side by side with nothing, read-only, of which all is clean. */
static void forced_prepare(void)
{
	forced_unmap(0, 3 * PART);
	forced_map(0, 1);
	forced_map(OLD, PART);
	dirty_touch(&target, &win, 0, 1);
	dirty_touch(&target, &win, OLD, PART);
	forced_protect(OLD, PART, PROT_READ);
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
	dirty_want(&win, 0, 3 * PART, DIRTY_NONE);
}

/* The poked page must be told, of what is beside it more than that may be. */
static void forced_check(const char *name)
{
	dirty_want(&win, 0, 3 * PART, DIRTY_ANY);
	dirty_want(&win, POKED, 1, DIRTY_YES);
	dirty_test(&svm, &win, name);
}

static void forced_grow(void)
{
	forced_prepare();
	forced_map(NEW, PART);
	forced_protect(NEW, PART, PROT_READ);
	forced_poke();
}

static void forced_test_grown(void)
{
	forced_grow();
	forced_check("it grew");
	forced_grow();
	forced_unmap(NEW, PART);
	forced_check("it grew, and shrank");
	forced_grow();
	forced_protect(NEW, PART, PROT_NONE);
	forced_check("it grew, and was cut");
}

static void forced_test_replaced(void)
{
	forced_prepare();
	forced_map(OLD + 16, 1);
	forced_protect(OLD + 16, 1, PROT_READ);
	forced_poke();
	forced_check("a page of it was mapped anew");
	forced_prepare();
	forced_map(OLD + 28, 1);
	forced_protect(OLD + 28, 1, PROT_READ);
	forced_poke();
	forced_protect(OLD + 16, 1, PROT_READ | PROT_WRITE);
	forced_check("a page of it was mapped anew, and it was cut");
}

/* The child shares the page, so that mprotect does not make it writable at once. */
static void forced_test_writable(void)
{
	forced_grow();
	target_fork_write(&target, dirty_addr(&win, 0));
	forced_protect(OLD, 2 * PART, PROT_READ | PROT_WRITE);
	forced_check("it grew, and is writable by now");
}

/* It grew before the tracker began, and that is not over until the first epoch ends. */
static void forced_test_first(void)
{
	forced_prepare();
	forced_map(NEW, PART);
	forced_protect(NEW, PART, PROT_READ);
	svm_close(&svm);
	svm_open(&svm, target.pid, true);
	ksft_must(!dirty_take(&svm, &win, 4096));
	forced_poke();
	forced_check("it grew before TRACK");
}

/* Nothing was mapped: the write takes a fault, and only that page is told. */
static void forced_test_same(void)
{
	forced_prepare();
	forced_poke();
	dirty_want(&win, POKED, 1, DIRTY_YES);
	dirty_test(&svm, &win, "it is as it was");
	dirty_test(&svm, &win, "and was not written to");
}

/* A heap grows into what was reserved for it: only that is told, though it was not writable. */
static void forced_test_heap(void)
{
	forced_unmap(0, 3 * PART);
	forced_map(OLD, 2 * PART);
	dirty_touch(&target, &win, OLD, PART);
	forced_protect(NEW, PART, PROT_NONE);
	svm_epoch(&svm);
	ksft_must(!dirty_take(&svm, &win, 4096));
	dirty_want(&win, 0, 3 * PART, DIRTY_NONE);
	dirty_test(&svm, &win, "a heap that nobody writes to");
	forced_map(NEW, 8);
	dirty_touch(&target, &win, NEW, 8);
	dirty_want(&win, NEW + 8, PART - 8, DIRTY_GONE);
	dirty_test(&svm, &win, "it grew into what was reserved");
}

int main(void)
{
	ksft_print_header();
	target_start(&target);
	dirty_window_init(&win, target_map(&target, 3 * PART * PAGE_SIZE,
					   MADV_NOHUGEPAGE), 3 * PART);
	svm_use_tracker(SPLICE_VM_TRACKER_SOFT_DIRTY);
	svm_open(&svm, target.pid, true);
	forced_test_grown();
	forced_test_replaced();
	forced_test_writable();
	forced_test_first();
	forced_test_same();
	forced_test_heap();
	svm_close(&svm);
	target_stop(&target);
	ksft_finished();
}
