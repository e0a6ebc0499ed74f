// SPDX-License-Identifier: GPL-2.0
/*
 * Installs the pages of the mirrors, in runs that are short enough for a fault to wait for.
 */
#include <errno.h>
#include <unistd.h>
#include "base/thread.h"
#include "dest/events.h"
#include "dest/lost_pages.h"
#include "dest/populate.h"
#include "dest/spaces.h"
#include "pages/sets.h"

#define POPULATE_PAGES	256	/* 1 MiB: a fault may have to wait for so many pages */
#define AGAIN_US	200
#define ASIDE_US	20

/* The first run that is at hand: the mirror has it, or it is lost and can be poisoned. */
static bool next_at_hand(const struct mm *mm, const struct space *space, uint64_t origin,
			 uint64_t end, struct run *run)
{
	struct run lost;
	bool have = page_set_next(&mm->mirror.have, origin, end, 0, run);

	if (!mm->lost.nr || !lost_pages_can_fill(mm, space) ||
	    !page_set_next(&mm->lost, origin, end, 0, &lost))
		return have;
	if (!have || lost.addr < run->addr)
		*run = lost;
	return true;
}

/* Find the first run of @space from its cursor on that can be installed. */
static bool next_installable(const struct mm *mm, const struct space *space,
			     struct run *run)
{
	uint64_t addr = space->cursor;
	struct run have;

	while (page_set_next(&space->todo, addr, USER_END, POPULATE_PAGES, run)) {
		uint64_t origin = space_origin(space, run->addr, &run->nr_pages);
		uint64_t end = origin + run->nr_pages * PAGE_BYTES;

		if (next_at_hand(mm, space, origin, end, &have)) {
			run->addr += have.addr - origin;
			run->nr_pages = have.nr_pages;
			return true;
		}
		addr = run_end(run);
	}
	return false;
}

/* Read events of @space. Unresolved faults among them are for the fault thread: wake it. */
static enum step read_events(struct mm *mm, struct space *space, struct error *err)
{
	int ret = events_read(mm, space, err);

	if (mm->spaces.retry)
		mm_kick(mm);
	return ret ? STEP_FAILED : STEP_AGAIN;
}

static enum step step_space(struct mm *mm, struct space *space, struct error *err)
{
	struct run run;

	if (!next_installable(mm, space, &run)) {
		if (!space->cursor)
			return STEP_IDLE;
		space->cursor = 0;
		return STEP_DID;
	}
	space->cursor = run.addr;
	switch (spaces_fill(mm, space, run.addr, run.nr_pages)) {
	case INSTALL_OK:
		break;
	case INSTALL_GONE:
		spaces_bury(mm, space);
		break;
	case INSTALL_AGAIN:
		return read_events(mm, space, err);
	case INSTALL_FAILED:
		error_errno(err, CODE_INTERNAL, NULL, "cannot install %lu pages at 0x%lx",
			    run.nr_pages, run.addr);
		return STEP_FAILED;
	}
	return STEP_DID;
}

enum step populate_step(struct mm *mm, struct error *err)
{
	enum step ret = STEP_IDLE;

	for (size_t i = 0; i < mm->spaces.nr && ret == STEP_IDLE; i++)
		if (!mm->spaces.list[i]->gone && !mm->spaces.list[i]->lost && mm->spaces.list[i]->uffd >= 0)
			ret = step_space(mm, mm->spaces.list[i], err);
	if (ret == STEP_IDLE)
		mm->work = false;
	if (ret == STEP_DID && spaces_done(mm))
		pthread_cond_broadcast(&mm->changed);
	return ret;
}

void populate_init(struct populate *populate, struct objects *objects,
		   const struct populate_hooks *hooks)
{
	*populate = (struct populate){ .objects = objects, .hooks = *hooks };
	pthread_mutex_init(&populate->lock, NULL);
	pthread_cond_init(&populate->changed, NULL);
}

void populate_destroy(struct populate *populate)
{
	pthread_cond_destroy(&populate->changed);
	pthread_mutex_destroy(&populate->lock);
}

/* Return: false when the thread must end */
static bool wait_work(struct populate *populate)
{
	bool stop;

	pthread_mutex_lock(&populate->lock);
	while (!populate->work && !populate->stop)
		pthread_cond_wait(&populate->changed, &populate->lock);
	/* work that is set from now on is for the next call */
	populate->work = false;
	stop = populate->stop;
	pthread_mutex_unlock(&populate->lock);
	return !stop;
}

static enum step step_mm(struct mm *mm, struct error *err)
{
	enum step step;

	mm_lock(mm);
	step = mm->work ? populate_step(mm, err) : STEP_IDLE;
	mm_unlock(mm);
	/* a mutex is not fair: without a pause the waiting threads would hardly ever get it */
	if (step == STEP_AGAIN)
		usleep(AGAIN_US);
	else if (atomic_load(&mm->urgent))
		usleep(ASIDE_US);
	return step;
}

/* Install one run of each mm. Return: true when all are idle */
static bool step_all(struct populate *populate, struct error *err)
{
	struct mm *mm = NULL;
	bool idle = true;

	while ((mm = objects_next(populate->objects, mm))) {
		enum step step = step_mm(mm, err);

		idle &= step == STEP_IDLE;
		/* after a failure in one mm, go on with the others */
		if (step != STEP_FAILED)
			continue;
		mm_lock(mm);
		mm->work = false;
		mm_unlock(mm);
	}
	return idle;
}

/* Goes on after a failure: when the link was lost after COMMIT, the mirror still has pages. */
static void *populate_body(void *arg)
{
	struct populate *populate = arg;

	while (wait_work(populate)) {
		struct error err = { 0 };

		if (!step_all(populate, &err))
			populate_wake(populate);
		if (error_is_set(&err))
			populate->hooks.failed(populate->hooks.ctx, &err);
	}
	return NULL;
}

int populate_start(struct populate *populate, struct error *err)
{
	if (populate->has_thread)
		return 0;
	if (thread_start(&populate->thread, populate_body, populate, err))
		return -1;
	populate->has_thread = true;
	return 0;
}

void populate_wake(struct populate *populate)
{
	pthread_mutex_lock(&populate->lock);
	populate->work = true;
	pthread_cond_broadcast(&populate->changed);
	pthread_mutex_unlock(&populate->lock);
}

void populate_stop(struct populate *populate)
{
	if (!populate->has_thread)
		return;
	pthread_mutex_lock(&populate->lock);
	populate->stop = true;
	pthread_cond_broadcast(&populate->changed);
	pthread_mutex_unlock(&populate->lock);
	pthread_join(populate->thread, NULL);
	populate->has_thread = false;
}
