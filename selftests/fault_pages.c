// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "fault_pages.h"
#include "ksft.h"
#include "sys.h"

#define DENSE		1500UL
#define SPARSE		120UL
#define PAGES		(DENSE + SPARSE)
#define SPARSE_BYTES	(SPARSE * PMD_SIZE)
/* One page in so many changes in a step. */
#define CHANGE		12

enum fault_page { NOTHING, DIRTY, DROPPED };

/* Copied into the target by fork: addresses only. */
static unsigned long dense, sparse;
static __u64 seed;
/* Does the page have content; what is to be said, what was said of it. */
static bool has[PAGES];
static enum fault_page want[PAGES], got[PAGES];

static unsigned long fault_page_addr(unsigned long i)
{
	return i < DENSE ? dense + i * PAGE_SIZE :
			   sparse + (i - DENSE) * PMD_SIZE;
}

/* What happens to page @i in the step of this seed; the target asks, and so do we. */
static enum fault_page fault_page_fate(__u64 *state)
{
	__u64 x = sys_random(state);

	if (x % CHANGE)
		return NOTHING;
	return (x >> 32) % 4 ? DIRTY : DROPPED;
}

static long fault_pages_change_fn(const unsigned long *args)
{
	__u64 state = args[0];
	unsigned long i;

	dense = args[2];
	sparse = args[3];
	for (i = 0; i < args[1]; i++) {
		void *page = (void *)fault_page_addr(i);
		enum fault_page fate = fault_page_fate(&state);

		if (fate == DIRTY)
			WRITE_ONCE(*(__u64 *)page, state);
		else if (fate == DROPPED &&
			 madvise(page, PAGE_SIZE, MADV_DONTNEED))
			return -1;
	}
	return 0;
}

void fault_pages_change(struct target *t)
{
	unsigned long nr = sparse ? PAGES : DENSE, i;
	__u64 state;

	state = sys_random(&seed);
	ksft_must(!target_do(t, fault_pages_change_fn, state, nr, dense,
			     sparse));
	for (i = 0; i < nr; i++) {
		enum fault_page fate = fault_page_fate(&state);

		if (fate == NOTHING)
			continue;
		want[i] = fate;
		has[i] = fate == DIRTY;
	}
}

static long fault_pages_touch_fn(const unsigned long *args)
{
	unsigned long i;

	for (i = 0; i < args[1]; i += PMD_SIZE)
		WRITE_ONCE(*(__u64 *)(args[0] + i), i + 1);
	return 0;
}

void fault_pages_grow(struct target *t)
{
	unsigned long i;

	sparse = target_map(t, SPARSE_BYTES, MADV_NOHUGEPAGE);
	target_do(t, fault_pages_touch_fn, sparse, SPARSE_BYTES);
	for (i = DENSE; i < PAGES; i++) {
		want[i] = DIRTY;
		has[i] = true;
	}
}

void fault_pages_shrink(struct target *t)
{
	if (sparse)
		ksft_must(!target_sys(t, SYS_munmap, sparse, SPARSE_BYTES));
	sparse = 0;
	memset(want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
}

void fault_pages_init(struct target *t, unsigned long first)
{
	unsigned long i;

	seed = first;
	dense = target_map(t, DENSE * PAGE_SIZE, MADV_NOHUGEPAGE);
	target_fill(t, dense, DENSE * PAGE_SIZE, seed);
	for (i = 0; i < DENSE; i++) {
		want[i] = DIRTY;
		has[i] = true;
	}
}

void fault_pages_reported(const struct splice_vm_run *runs, size_t nr)
{
	size_t r;
	unsigned long i;

	for (r = 0; r < nr; r++) {
		const struct splice_vm_run *run = &runs[r];

		for (i = 0; i < (sparse ? PAGES : DENSE); i++) {
			__u64 page = fault_page_addr(i) - run->addr;

			if (fault_page_addr(i) >= run->addr &&
			    page / PAGE_SIZE < run->nr_pages)
				got[i] = run->flags & SPLICE_VM_RUN_DIRTY ?
					 DIRTY : DROPPED;
		}
	}
}

static bool fault_page_is_right(unsigned long i)
{
	if (want[i] != NOTHING)
		return got[i] == want[i];
	/* Too much may be said, but not that content is gone. */
	return got[i] != DROPPED || !has[i];
}

bool fault_pages_are_right(void)
{
	static const char * const names[] = { "nothing", "dirty", "dropped" };
	unsigned long i, nr = 0;

	for (i = 0; i < (sparse ? PAGES : DENSE); i++) {
		if (!fault_page_is_right(i) && nr++ < 4)
			ksft_print_msg("page %lu: %s, but SCAN said %s\n", i,
				       names[want[i]], names[got[i]]);
	}
	if (nr)
		ksft_print_msg("%lu pages wrong\n", nr);
	memset(want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
	return !nr;
}
