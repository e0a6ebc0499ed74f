// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include "dest/lost_pages.h"
#include "pages/sets.h"

static bool stop_at_first(struct space *space, uint64_t addr, uint64_t origin, uint64_t nr_pages,
			  void *ctx)
{
	return false;
}

/* The kernel cannot poison: find the processes that lack one of these lost pages. */
static void doom(struct mm *mm, const struct run *run)
{
	for (size_t i = 0; i < mm->spaces.nr; i++)
		if (!mm->spaces.list[i]->doomed)
			mm->spaces.list[i]->doomed = !space_each_lacking(mm->spaces.list[i], run->addr,
								    run->nr_pages, stop_at_first,
								    NULL);
}

static void doom_all(struct mm *mm)
{
	uint64_t addr = 0;
	struct run run;

	for (; page_set_next(&mm->lost, addr, USER_END, 0, &run); addr = run_end(&run))
		doom(mm, &run);
}

/* Lock held. A page that is not wanted came, or nobody needs it. */
static int lose(struct mm *mm, uint64_t addr, uint64_t end, uint64_t *nr_pages, struct error *err)
{
	struct run run;

	if (!mm->sealed)
		return error_set(err, CODE_PEER, NULL,
				 "the source lost memory of object %u before it was restored",
				 mm->id);
	while (addr < end && page_set_next(&mm->wanted.pages, addr, end, 0, &run)) {
		if (mirror_pay(&mm->mirror, page_set_cost(&mm->lost, run.addr, run.nr_pages), err) ||
		    page_set_add(&mm->lost, run.addr, run.nr_pages, err))
			return -1;
		wanted_remove(&mm->wanted, run.addr, run.nr_pages);
		if (mm->no_poison)
			doom(mm, &run);
		budget_installed(mm->mirror.budget, run.nr_pages * PAGE_BYTES);
		*nr_pages += run.nr_pages;
		addr = run_end(&run);
	}
	return 0;
}

/* Lock held. The threads that populate and that answer faults do the rest. */
static void lost(struct mm *mm, uint64_t nr_pages)
{
	mm->counts.lost += nr_pages;
	mm_set_work(mm);
	mm->spaces.retry = true;
	mm_kick(mm);
	pthread_cond_broadcast(&mm->changed);
}

/*
 * Lock held. The memory connection may still have, until PUSHED, what the urgent one says is lost. Behind
 * PUSHED all that lacks is asked for again.
 */
static bool is_early(const struct mm *mm, bool urgent)
{
	return urgent && !mm->pushed;
}

int lost_pages_take(struct mm *mm, bool urgent, const struct splice_vm_run *runs, uint32_t nr_runs,
		    uint64_t *nr_pages, struct error *err)
{
	int ret = 0;

	*nr_pages = 0;
	mm_lock(mm);
	for (uint32_t i = 0; i < nr_runs && !ret && !is_early(mm, urgent); i++)
		ret = lose(mm, runs[i].addr, runs[i].addr + runs[i].nr_pages * PAGE_BYTES, nr_pages,
			   err);
	if (*nr_pages)
		lost(mm, *nr_pages);
	mm_unlock(mm);
	return ret;
}

int lost_pages_end(struct mm *mm, bool urgent, uint64_t *nr_pages, struct error *err)
{
	int ret = 0;

	*nr_pages = 0;
	mm_lock(mm);
	mm->end_said = true;
	if (!is_early(mm, urgent))
		ret = lose(mm, 0, USER_END, nr_pages, err);
	mm->ended |= *nr_pages != 0;
	if (*nr_pages)
		lost(mm, *nr_pages);
	mm_unlock(mm);
	return ret;
}

/* A process that must end does not run on with holes until then. */
bool lost_pages_can_fill(const struct mm *mm, const struct space *space)
{
	return !mm->no_poison && !(mm->ended && space == mm->spaces.list[0]);
}

enum install lost_pages_fill(struct mm *mm, struct space *space, uint64_t addr, uint64_t nr_pages,
			     uint64_t *done)
{
	uint64_t origin = space_origin(space, addr, &nr_pages);
	enum install ret;
	struct run run;

	*done = 0;
	if (!lost_pages_can_fill(mm, space))
		return INSTALL_AGAIN;
	page_set_next(&mm->lost, origin, origin + nr_pages * PAGE_BYTES, 0, &run);
	ret = space_poison(space, addr, run.nr_pages, done);
	if (ret != INSTALL_FAILED || errno != EINVAL)
		return ret;
	mm->no_poison = true;
	doom_all(mm);
	return INSTALL_AGAIN;
}

/* What @space lacks from @addr to @end is lost; else @lacks_at is set. */
static bool are_lost(const struct mm *mm, struct space *space, uint64_t addr, uint64_t end)
{
	struct run run;

	while (page_set_next(&space->todo, addr, end, 0, &run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);
		struct run part;

		if (!page_set_next(&mm->lost, origin, origin + run.nr_pages * PAGE_BYTES, 0, &part) ||
		    part.addr != origin || part.nr_pages != run.nr_pages) {
			space->lacks_at = run.addr;
			return false;
		}
		addr = run_end(&run);
	}
	return true;
}

/* Asked at each page that comes, and pages come in order: the search goes on where it ended. */
bool lost_pages_are_all(const struct mm *mm, struct space *space)
{
	return mm->no_poison && space->doomed && are_lost(mm, space, space->lacks_at, USER_END) &&
	       are_lost(mm, space, 0, space->lacks_at);
}

bool lost_pages_must_end(const struct mm *mm)
{
	const struct space *first = mm->spaces.nr ? mm->spaces.list[0] : NULL;

	return first && !first->gone && (mm->ended || first->doomed);
}
