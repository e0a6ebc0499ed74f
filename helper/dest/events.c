// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include "dest/events.h"
#include "dest/lost_pages.h"
#include "dest/spaces.h"
#include "pages/space_events.h"

#define AROUND_PAGES	16	/* pages installed or requested for one fault */

static struct mm *mm_of(struct space_set *set)
{
	return (struct mm *)((char *)set - offsetof(struct mm, spaces));
}

/* A fault on a page of todo: install the page from the mirror, or request it from the source. */
static enum install resolve_todo(struct mm *mm, struct space *space, uint64_t addr,
				 struct error *err)
{
	uint64_t nr_pages = AROUND_PAGES, origin;
	struct run run;

	page_set_next(&space->todo, addr, USER_END, AROUND_PAGES, &run);
	nr_pages = run.nr_pages;
	origin = space_origin(space, addr, &nr_pages);
	if (page_set_has(&mm->mirror.have, origin) || mm_is_lost(mm, origin))
		return spaces_fill(mm, space, addr, nr_pages);
	if (page_set_has(&mm->wanted.asked, origin))
		return INSTALL_AGAIN;
	if (!page_set_has(&mm->wanted.pages, origin)) {
		/* no copy of the page is left: the task must not read zeros */
		error_set(err, CODE_INTERNAL, NULL, "page 0x%lx is lost", addr);
		errno = ENODATA;
		return INSTALL_FAILED;
	}
	/* its page alone, so that the task does not wait until the neighbours are here too */
	return mm_request(mm, origin, 1, err) || mm_request(mm, origin, nr_pages, err) ?
	       INSTALL_FAILED : INSTALL_AGAIN;
}

struct mm *events_mm(const struct space *space)
{
	return mm_of(space->set);
}

static enum install fill(struct space_set *set, struct space *space, uint64_t addr, struct error *err)
{
	struct mm *mm = mm_of(set);
	uint64_t one = 1, origin = space_origin(space, addr, &one);
	enum install ret = resolve_todo(mm, space, addr, err);

	if (ret == INSTALL_AGAIN &&
	    (page_set_has(&mm->mirror.have, origin) ||
	     (mm_is_lost(mm, origin) && lost_pages_can_fill(mm, space))))
		set->retry = true;
	return ret;
}

static void release(struct space_set *set, uint64_t origin, uint64_t nr_pages)
{
	mm_release(mm_of(set), origin, nr_pages);
}

static void more(struct space_set *set)
{
	mm_set_work(mm_of(set));
}

static int born(struct space_set *set, struct space *child, struct error *err)
{
	struct mm *mm = mm_of(set);

	if (mm->hooks.hold(mm->hooks.ctx, child->uffd, &child->handle, err) ||
	    mm->hooks.holds_all(mm->hooks.ctx, err))
		return -1;
	return mm->hooks.watch(mm->hooks.ctx, child, true, err);
}

static void bury(struct space_set *set, struct space *space)
{
	spaces_bury(mm_of(set), space);
}

static const struct space_set_ops ops = {
	.fill = fill, .release = release, .more = more, .born = born, .bury = bury,
};

/* mm.c, which this file uses, cannot name them. No operation is called before the first event. */
static struct space_set *spaces_of(struct mm *mm)
{
	mm->spaces.ops = &ops;
	return &mm->spaces;
}

int events_read(struct mm *mm, struct space *space, struct error *err)
{
	int ret = space_events_read(spaces_of(mm), space, err);

	pthread_cond_broadcast(&mm->changed);
	return ret;
}

int events_retry(struct mm *mm, struct error *err)
{
	int ret = space_events_retry(spaces_of(mm), err);

	pthread_cond_broadcast(&mm->changed);
	return ret;
}
