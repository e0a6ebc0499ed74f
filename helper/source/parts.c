// SPDX-License-Identifier: GPL-2.0
#include "pages/sets.h"
#include "source/parts.h"

/* Listed pages of a part: 16 MiB. Fewer: more calls; more: they wait longer until they are sent. */
#define PART_PAGES	4096UL
/* A part that ended within a huge page would split it. */
#define PART_ALIGN	(2UL << 20)

static bool is_apart(const struct source_process *process)
{
	return !process->inherit.parent || process->inherit.apart;
}

bool parts_is_alone(const struct tree *tree, const struct source_process *process)
{
	const struct source_process *other;

	if (!is_apart(process))
		return false;
	tree_for_each(tree, other)
		if (other->inherit.parent == process->mm.object && !is_apart(other))
			return false;
	return true;
}

bool parts_can(const struct tree *tree, const struct source_process *process)
{
	return process->mm.tracked && process->mm.backend->by_parts && parts_is_alone(tree, process);
}

/* A sparse list has long parts: only pages that are listed, or written meanwhile, are sent of them. */
static uint64_t part_end(const struct page_set *listed, uint64_t start)
{
	uint64_t at = start, left = PART_PAGES;
	struct run run;

	while (left && page_set_next(listed, at, USER_END, left, &run)) {
		left -= run.nr_pages;
		at = run_end(&run);
	}
	return left ? USER_END : (at + PART_ALIGN - 1) & ~(PART_ALIGN - 1);
}

int parts_next(struct parts *parts, struct sender *sender, struct error *err)
{
	parts->start = parts->end;
	parts->end = part_end(&parts->mm->dirty, parts->start);
	if (scan_part(parts->mm, sender, parts->start, parts->end, &parts->sum, err))
		return -1;
	if (parts->end == USER_END)
		scan_say(parts->mm, &parts->sum);
	return 0;
}
