// SPDX-License-Identifier: GPL-2.0
#include "os/pagemap.h"
#include "source/sharers.h"

#define RUNS_MAX	512	/* of one process, for one call */
#define STEP_PAGES	512UL	/* entries of a page map at a time */

/** struct shared - pages that two processes have in common; those without room are sent by themselves */
struct shared {
	struct splice_vm_run runs[RUNS_MAX];
	uint32_t nr;
};

void sharers_open(const struct tree *tree)
{
	struct error ignored = { 0 };
	struct source_mm *mm;
	size_t nr = 0;

	tree_for_each_mm(tree, mm)
		nr++;
	if (nr < 2)
		return;
	tree_for_each_mm(tree, mm)
		mm->pagemap_fd = pagemap_open(mm->pid, &ignored);
}

static void add(struct shared *shared, uint64_t addr)
{
	struct splice_vm_run *last = shared->nr ? &shared->runs[shared->nr - 1] : NULL;

	if (last && last->addr + ((uint64_t)last->nr_pages << PAGE_SHIFT) == addr)
		last->nr_pages++;
	else if (shared->nr < RUNS_MAX)
		shared->runs[shared->nr++] = (struct splice_vm_run){ .addr = addr, .nr_pages = 1 };
}

/* A page map that cannot be read is that of a process that was killed: nothing is shared with it. */
static void compare_part(const struct source_mm *giver, const struct source_mm *mm, uint64_t addr,
			 uint64_t nr, struct shared *shared)
{
	uint64_t givers[STEP_PAGES], own[STEP_PAGES], again[STEP_PAGES];
	struct error ignored = { 0 };

	if (pagemap_read(giver->pagemap_fd, addr, nr, givers, &ignored) ||
	    pagemap_read(mm->pagemap_fd, addr, nr, own, &ignored) ||
	    pagemap_read(giver->pagemap_fd, addr, nr, again, &ignored))
		return;
	for (uint64_t i = 0; i < nr; i++)
		if (pagemap_is_same(givers[i], own[i]) && pagemap_is_same(givers[i], again[i]))
			add(shared, addr + i * PAGE_BYTES);
}

static void compare(const struct source_mm *giver, const struct source_mm *mm,
		    const struct splice_vm_run *run, struct shared *shared)
{
	uint64_t addr = run->addr, left = run->nr_pages, nr;

	for (; left; left -= nr, addr += nr * PAGE_BYTES) {
		nr = left < STEP_PAGES ? left : STEP_PAGES;
		compare_part(giver, mm, addr, nr, shared);
	}
}

int sharers_send(const struct tree *tree, struct sender *sender, const struct source_mm *giver,
		 const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err)
{
	struct splice_vm_run unsent[RUNS_MAX];
	struct shared shared;
	struct source_mm *mm;

	if (giver->pagemap_fd < 0)
		return 0;
	tree_for_each_mm(tree, mm) {
		uint32_t nr;

		if (mm == giver || mm->pagemap_fd < 0)
			continue;
		nr = source_mm_look_unsent(mm, runs, nr_runs, unsent, RUNS_MAX);
		shared.nr = 0;
		for (uint32_t i = 0; i < nr; i++)
			compare(giver, mm, &unsent[i], &shared);
		if (!shared.nr)
			continue;
		source_mm_claim(mm, shared.runs, shared.nr);
		if (sender_also(sender, giver, mm, shared.runs, shared.nr, err))
			return -1;
	}
	return 0;
}
