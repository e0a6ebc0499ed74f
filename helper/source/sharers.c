// SPDX-License-Identifier: GPL-2.0
#include "os/pagemap.h"
#include "pages/sets.h"
#include "source/sharers.h"

#define RUNS_MAX	512	/* of one process, for one call */
#define STEP_PAGES	512UL	/* entries of a page map at a time */
#define GAP_PAGES	32UL	/* entries that are read in vain rather than have another call of the kernel */

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

/* A part of a list: one read of a page map covers the pages, and the short gaps between them. */
struct part {
	const struct splice_vm_run *runs;
	uint32_t nr;
	uint64_t addr, end;
};

static uint64_t end_of(const struct splice_vm_run *run)
{
	return run->addr + ((uint64_t)run->nr_pages << PAGE_SHIFT);
}

/* A run that is longer than STEP_PAGES is a part of its own, which is read in steps. */
static struct part first_part(const struct splice_vm_run *runs, uint32_t nr)
{
	struct part part = { .runs = runs, .nr = 1, .addr = runs[0].addr, .end = end_of(&runs[0]) };

	while (part.nr < nr && runs[part.nr].addr - part.end <= GAP_PAGES * PAGE_BYTES &&
	       end_of(&runs[part.nr]) - part.addr <= STEP_PAGES * PAGE_BYTES)
		part.end = end_of(&runs[part.nr++]);
	return part;
}

/* Take the next pages of @part. Return: how many */
static uint64_t take_step(struct part *part, uint64_t *addr)
{
	uint64_t nr = (part->end - part->addr) / PAGE_BYTES;

	if (nr > STEP_PAGES)
		nr = STEP_PAGES;
	*addr = part->addr;
	part->addr += nr * PAGE_BYTES;
	return nr;
}

/* A page between the runs of the part is of no interest. Addresses ascend. */
static bool is_in_runs(struct part *part, uint64_t addr)
{
	if (addr >= end_of(part->runs))
		part->runs++;
	return addr >= part->runs->addr;
}

static void find_step(const struct source_mm *giver, struct part *part, struct shared *found)
{
	uint64_t entries[STEP_PAGES], addr, nr = take_step(part, &addr);
	struct error ignored = { 0 };

	if (pagemap_read(giver->pagemap_fd, addr, nr, entries, &ignored))
		return;
	for (uint64_t i = 0; i < nr; i++, addr += PAGE_BYTES)
		if (is_in_runs(part, addr) && pagemap_may_be_common(entries[i]))
			add(found, addr);
}

/* A page map that cannot be read is that of a process that was killed: nothing is shared with it. */
static void compare_step(const struct source_mm *giver, const struct source_mm *mm, struct part *part,
			 struct shared *shared)
{
	uint64_t givers[STEP_PAGES], own[STEP_PAGES], again[STEP_PAGES];
	uint64_t addr, nr = take_step(part, &addr);
	struct error ignored = { 0 };

	if (pagemap_read(giver->pagemap_fd, addr, nr, givers, &ignored) ||
	    pagemap_read(mm->pagemap_fd, addr, nr, own, &ignored) ||
	    pagemap_read(giver->pagemap_fd, addr, nr, again, &ignored))
		return;
	for (uint64_t i = 0; i < nr; i++, addr += PAGE_BYTES)
		if (is_in_runs(part, addr) && pagemap_is_same(givers[i], own[i]) &&
		    pagemap_is_same(givers[i], again[i]))
			add(shared, addr);
}

/* The pages of @runs that another process may have; @mm: that it has; NULL: any */
static void compare(const struct source_mm *giver, const struct source_mm *mm,
		    const struct splice_vm_run *runs, uint32_t nr, struct shared *shared)
{
	shared->nr = 0;
	while (nr) {
		struct part part = first_part(runs, nr);

		runs += part.nr;
		nr -= part.nr;
		while (part.addr < part.end) {
			if (mm)
				compare_step(giver, mm, &part, shared);
			else
				find_step(giver, &part, shared);
		}
	}
}

/* The program stands: a page that was mapped once when the pages were listed has come to no other process since. */
static void find_listed(const struct source_mm *giver, const struct splice_vm_run *runs, uint32_t nr,
			struct shared *found)
{
	struct run run;

	found->nr = 0;
	for (uint32_t i = 0; i < nr; i++)
		for (uint64_t at = runs[i].addr; page_set_next(&giver->common, at, end_of(&runs[i]), 0, &run);
		     at = run_end(&run))
			for (uint64_t addr = run.addr; addr < run_end(&run); addr += PAGE_BYTES)
				add(found, addr);
}

/* Among hundreds of processes nearly all comparisons are spared. */
static void find_candidates(const struct source_mm *giver, const struct splice_vm_run *runs, uint32_t nr,
			    struct shared *found)
{
	if (giver->knows_common)
		find_listed(giver, runs, nr, found);
	else
		compare(giver, NULL, runs, nr, found);
}

/*
 * The destination still has the list of pages that did not come, and another one may be too much for it: the next
 * pages go without a list. They end that one.
 */
static bool must_go_alone(struct sender *sender, const struct source_mm *giver)
{
	bool alone = sender->gave_nothing == giver;

	if (alone)
		sender->gave_nothing = NULL;
	return alone;
}

/* What is claimed but not named the destination asks for. Return: -1 with @err: the connection is lost */
static int name(struct sender *sender, const struct source_mm *giver, struct source_mm *mm,
		const struct shared *shared, struct error *err)
{
	source_mm_claim(mm, shared->runs, shared->nr);
	if (!sender_also(sender, giver, mm, shared->runs, shared->nr, err))
		return 0;
	if (err->code == CODE_NETWORK)
		return -1;
	*err = (struct error){ 0 };
	return 0;
}

int sharers_send(const struct tree *tree, struct sender *sender, const struct source_mm *giver,
		 const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err)
{
	struct splice_vm_run unsent[RUNS_MAX];
	struct shared candidates, shared;
	uint32_t room = sender->also_max;
	struct source_mm *mm;

	if (giver->pagemap_fd < 0 || must_go_alone(sender, giver))
		return 0;
	find_candidates(giver, runs, nr_runs, &candidates);
	if (!candidates.nr)
		return 0;
	tree_for_each_mm(tree, mm) {
		uint32_t nr;

		if (mm == giver || mm->pagemap_fd < 0)
			continue;
		nr = source_mm_look_unsent(mm, candidates.runs, candidates.nr, unsent, RUNS_MAX);
		compare(giver, mm, unsent, nr, &shared);
		/* those for which there is no room are sent by themselves */
		if (!shared.nr || shared.nr > room)
			continue;
		room -= shared.nr;
		if (name(sender, giver, mm, &shared, err))
			return -1;
	}
	return 0;
}

int sharers_copy(struct sender *sender, const struct source_mm *parent, struct source_mm *mm,
		 struct error *err)
{
	struct shared shared;
	uint64_t at = 0;
	struct run run;

	if (parent->pagemap_fd < 0 || mm->pagemap_fd < 0)
		return 0;
	for (; sets_next_both(&mm->unsent, &parent->dest_current, at, USER_END, STEP_PAGES, &run);
	     at = run_end(&run)) {
		const struct splice_vm_run part = { .addr = run.addr, .nr_pages = run.nr_pages };

		compare(parent, mm, &part, 1, &shared);
		if (!shared.nr)
			continue;
		if (sender_list(sender, mm, FRAME_COPY, shared.runs, shared.nr, err))
			return -1;
		source_mm_claim(mm, shared.runs, shared.nr);
		for (uint32_t i = 0; i < shared.nr; i++)
			sender->inherited += shared.runs[i].nr_pages;
	}
	return 0;
}
