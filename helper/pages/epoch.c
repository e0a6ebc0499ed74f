// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sched.h>
#include <string.h>
#include "pages/epoch.h"
#include "pages/journal.h"
#include "os/uffd.h"
#include "pages/sets.h"

#define PAST_MAX	1024	/* pieces kept in the epoch of a program that never rests */
#define TRIES		20

static bool is_descendant(const struct space *space, const struct space *of)
{
	for (space = space->born_of; space; space = space->born_of)
		if (space == of)
			return true;
	return false;
}

static int doubt(struct space_set *set, struct space *space, uint64_t start, uint64_t end,
		 struct error *err)
{
	set->retry = true;
	return pieces_add(&space->unsure, start, end, start, err);
}

/* Note in @past the pages of [@addr, @end) that are leaving todo: a child may still lack them. */
static int remember(struct space_set *set, struct space *space, uint64_t addr, uint64_t end,
		    struct error *err)
{
	struct run run;
	int ret = 0;

	while (!ret && addr < end && page_set_next(&space->todo, addr, end, 0, &run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);

		if (space->past.nr == PAST_MAX) {
			struct space_piece old = space->past.list[0];

			pieces_drop_first(&space->past);
			set->ops->release(set, old.origin, (old.end - old.start) / PAGE_BYTES);
		}
		ret = pieces_add(&space->past, run.addr, run_end(&run), origin, err);
		addr = run_end(&run);
	}
	return ret;
}

/* A child that was forked after the move has the pages at their new place: add them to its todo. */
static int tell_child(struct space_set *set, struct space *space, struct space *child, uint64_t from,
		      uint64_t to, uint64_t bytes, struct error *err)
{
	uint64_t addr = from, end = from + bytes;
	struct run run;
	int ret = 0;

	while (!ret && addr < end && page_set_next(&space->todo, addr, end, 0, &run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);

		ret = space_put(child, run.addr - from + to, run.nr_pages, origin, err);
		addr = run_end(&run);
	}
	if (ret || doubt(set, child, from, end, err) || doubt(set, child, to, to + bytes, err))
		return -1;
	set->ops->more(set);
	return 0;
}

uint64_t epoch_moved_end(uint64_t from, uint64_t to, uint64_t bytes)
{
	return to < from && from - to < bytes ? from : to + bytes;
}

int epoch_covers(struct space *space, uint64_t from, uint64_t to, uint64_t bytes, struct error *err)
{
	uint64_t addr = to, end = epoch_moved_end(from, to, bytes);
	struct run run;
	int ret = pieces_add(&space->moved, to, to + bytes, from, err);

	while (!ret && addr < end && page_set_next(&space->todo, addr, end, 0, &run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);

		ret = pieces_add(&space->covered, run.addr, run_end(&run), origin, err);
		addr = run_end(&run);
	}
	return ret;
}

int epoch_moved(struct space_set *set, struct space *space, uint64_t from, uint64_t to,
		uint64_t bytes, struct error *err)
{
	for (size_t i = 0; i < set->nr; i++) {
		struct space *child = set->list[i];

		if (!child->gone && is_descendant(child, space) &&
		    tell_child(set, space, child, from, to, bytes, err))
			return -1;
	}
	if (remember(set, space, from, from + bytes, err))
		return -1;
	return pieces_has(&space->unsure, from, from + bytes) ?
	       doubt(set, space, to, to + bytes, err) : 0;
}

static int forget_run(struct space_set *set, struct space *space, const struct run *run,
		      uint64_t origin, struct error *err)
{
	int ret = remember(set, space, run->addr, run_end(run), err);

	page_set_remove(&space->todo, run->addr, run->nr_pages);
	set->ops->release(set, origin, run->nr_pages);
	return ret;
}

/* The pages of todo in [@addr, @end) never came there: what was there before is there still. */
static int uncover(struct space_set *set, struct space *space, uint64_t addr, uint64_t end, struct error *err)
{
	struct run run;
	int ret = 0;

	for (uint64_t at = addr; at < end && page_set_next(&space->todo, at, end, 0, &run); at = run_end(&run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);

		page_set_remove(&space->todo, run.addr, run.nr_pages);
		set->ops->release(set, origin, run.nr_pages);
	}
	for (size_t i = space->covered.nr; i > 0 && !ret; i--) {
		const struct space_piece *was = &space->covered.list[i - 1];
		uint64_t from = was->start > addr ? was->start : addr, to = was->end < end ? was->end : end;

		if (from < to)
			ret = space_put(space, from, (to - from) / PAGE_BYTES, was->origin + (from - was->start),
					err);
	}
	set->retry = true;
	set->ops->more(set);
	return ret;
}

static bool overlap(const struct space_piece *piece, uint64_t start, uint64_t end)
{
	return piece->start < end && start < piece->end;
}

/*
 * Linux 6.1 and 6.12 tell in REMAP the old length also of an mremap() that shrinks what it moves. The rest was unmapped
 * where it was, of which UNMAP tells next. Where a mapping was that has moved whole, nothing is left of which the end
 * alone could be unmapped.
 */
static int take_back_rest(struct space_set *set, struct space *space, uint64_t addr, uint64_t end,
			  struct error *err)
{
	for (size_t i = space->moved.nr; i > 0; i--) {
		struct space_piece *moved = &space->moved.list[i - 1];
		uint64_t from = moved->origin, to = moved->start;

		if (from >= addr || from + (moved->end - to) != end)
			continue;
		/* another mapping that came there may have been unmapped */
		for (size_t j = 0; j < space->moved.nr; j++)
			if (j != i - 1 && overlap(&space->moved.list[j], addr, end))
				return 0;
		moved->end = to + (addr - from);
		return uncover(set, space, moved->end, epoch_moved_end(from, to, end - from), err);
	}
	return 0;
}

int epoch_unmapped(struct space_set *set, struct space *space, uint64_t addr, uint64_t end,
		   struct error *err)
{
	uint64_t start = addr;
	struct run run;
	int ret = take_back_rest(set, space, addr, end, err);

	for (size_t i = 0; i < set->nr && !ret; i++)
		if (!set->list[i]->gone && is_descendant(set->list[i], space))
			ret = doubt(set, set->list[i], start, end, err);
	for (; addr < end && page_set_next(&space->todo, addr, end, 0, &run);
	     addr = run_end(&run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);

		if (pieces_part(&space->moved, run.addr, &run.nr_pages))
			ret |= doubt(set, space, run.addr, run_end(&run), err);
		else
			ret |= forget_run(set, space, &run, origin, err);
	}
	return ret;
}

int epoch_forked(struct space_set *set, struct space *parent, struct space *child, struct error *err)
{
	const struct pieces *past = &parent->past, *maybe[] = { &parent->moved, &parent->unsure };
	int ret = 0;

	/* the latest page first: where two had one address, the later one is the likelier */
	for (size_t i = past->nr; i > 0 && !ret; i--) {
		const struct space_piece *was = &past->list[i - 1];

		ret = space_put(child, was->start, (was->end - was->start) / PAGE_BYTES,
				was->origin, err) ||
		      doubt(set, child, was->start, was->end, err) ? -1 : 0;
	}
	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < maybe[i]->nr && !ret; j++)
			ret = doubt(set, child, maybe[i]->list[j].start, maybe[i]->list[j].end, err);
	if (parent->todo.nr || past->nr)
		child->born_of = parent;
	return ret;
}

/*
 * Take the unmapped pages of @run out of todo. For a range that is longer than its mapping the
 * kernel says the same as for one without mapping, so the function halves the range.
 * Return: false when the kernel did not answer for all pages
 */
static bool settle_run(struct space_set *set, struct space *space, const struct run *run)
{
	uint64_t addr = run->addr, end = run_end(run), step = run->nr_pages, origin, one = 1;

	while (addr < end) {
		if (step > (end - addr) / PAGE_BYTES)
			step = (end - addr) / PAGE_BYTES;
		switch (uffd_mapped(space->uffd, addr, step)) {
		case UFFD_AGAIN:
			return false;
		case UFFD_GONE:
			space->gone = true;
			return false;
		case UFFD_NO_VMA:
			if (step > 1) {
				step /= 2;
				continue;
			}
			origin = space_origin(space, addr, &one);
			page_set_remove(&space->todo, addr, 1);
			journal_settled(set->journal, space->number, addr, 1);
			set->ops->release(set, origin, 1);
			addr += PAGE_BYTES;
			break;
		default:
			addr += step * PAGE_BYTES;
			step *= 2;
		}
	}
	return true;
}

static void settle(struct space_set *set, struct space *space)
{
	while (space->unsure.nr) {
		struct space_piece *piece = &space->unsure.list[space->unsure.nr - 1];
		uint64_t addr = piece->start;
		struct run run;

		while (addr < piece->end &&
		       page_set_next(&space->todo, addr, piece->end, 0, &run)) {
			if (!settle_run(set, space, &run))
				return;
			addr = run_end(&run);
		}
		space->unsure.nr--;
		journal_add(set->journal, JOURNAL_SURE, space->number, 0, 0, 0);
		/* a fault may wait for a page that has left todo */
		set->retry |= space->nr_waiting;
	}
}

static void release_all(struct space_set *set, struct pieces *pieces)
{
	while (pieces->nr) {
		struct space_piece was = pieces->list[--pieces->nr];

		set->ops->release(set, was.origin, (was.end - was.start) / PAGE_BYTES);
	}
}

void epoch_end(struct space_set *set, struct space *space)
{
	journal_add(set->journal, JOURNAL_EPOCH_END, space->number, 0, 0, 0);
	space->in_epoch = false;
	space->moved.nr = 0;
	release_all(set, &space->covered);
	for (size_t i = 0; i < set->nr; i++) {
		if (set->list[i]->born_of != space)
			continue;
		set->list[i]->born_of = NULL;
		set->retry = true;
	}
	release_all(set, &space->past);
}

void epoch_try_end(struct space_set *set, struct space *space)
{
	bool again = space->in_epoch;

	if (space->gone || space->uffd < 0 || (!space->in_epoch && !space->unsure.nr))
		return;
	/* after the read of its event, the task's thread still has to count the change as done */
	for (int i = 0; i < TRIES && again; i++) {
		again = uffd_mapped(space->uffd, USER_END - 2 * PAGE_BYTES, 1) == UFFD_AGAIN;
		if (again)
			sched_yield();
	}
	if (!again)
		settle(set, space);
	/* an older change of the parent may concern this space too */
	if (!again && !space->born_of)
		epoch_end(set, space);
	if (space->in_epoch || space->unsure.nr)
		set->retry = true;
}

void epoch_drop(struct space_set *set, struct space *space)
{
	space->unsure.nr = 0;
	epoch_end(set, space);
}
