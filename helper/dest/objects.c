// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "base/clock.h"
#include "dest/late_pages.h"
#include "dest/objects.h"
#include "dest/spaces.h"

#define OBJECTS_MAX	65536	/* with those that are gone */

void objects_init(struct objects *objects, const struct mm_hooks *hooks, struct budget *budget,
		  struct place *place)
{
	*objects = (struct objects){ .hooks = *hooks, .budget = budget, .place = place };
	pthread_mutex_init(&objects->lock, NULL);
}

void objects_destroy(struct objects *objects)
{
	for (size_t i = 0; i < objects->nr; i++) {
		mm_destroy(objects->mms[i]);
		free(objects->mms[i]);
	}
	free(objects->mms);
	pthread_mutex_destroy(&objects->lock);
}

/* Takes @mm over, unless it fails. */
static int put(struct objects *objects, struct mm *mm, struct error *err)
{
	struct mm **mms;

	pthread_mutex_lock(&objects->lock);
	mms = realloc(objects->mms, (objects->nr + 1) * sizeof(*mms));
	if (mms) {
		mms[objects->nr++] = mm;
		objects->mms = mms;
	}
	pthread_mutex_unlock(&objects->lock);
	return mms ? 0 : error_errno(err, CODE_INTERNAL, NULL, "no memory for an address space");
}

struct mm *objects_add_mm(struct objects *objects, uint32_t id, pid_t pid, struct error *err)
{
	struct mm *mm;

	if (objects->nr >= OBJECTS_MAX) {
		error_set(err, CODE_PEER, NULL, "the source announced more than %d objects", OBJECTS_MAX);
		return NULL;
	}
	if (objects_mm(objects, id) || objects_mm_of(objects, pid)) {
		error_set(err, CODE_PEER, NULL, "the source announced object %u (task %d) twice", id,
			  pid);
		return NULL;
	}
	mm = calloc(1, sizeof(*mm));
	if (!mm || mm_init(mm, &objects->hooks, err)) {
		if (!mm)
			error_errno(err, CODE_INTERNAL, NULL, "no memory for an address space");
		free(mm);
		return NULL;
	}
	mm->id = id;
	mm->pid = pid;
	mm->place = objects->place;
	mm->mirror.budget = objects->budget;
	if (!objects->hooks.hold(objects->hooks.ctx, mm->mirror.fd, &mm->mirror_handle, err) &&
	    !put(objects, mm, err))
		return mm;
	mm_destroy(mm);
	free(mm);
	return NULL;
}

struct mm *objects_at(struct objects *objects, size_t i)
{
	struct mm *mm;

	pthread_mutex_lock(&objects->lock);
	mm = i < objects->nr ? objects->mms[i] : NULL;
	pthread_mutex_unlock(&objects->lock);
	return mm;
}

/* The mm at or behind *@i that is not gone; *@i moves behind it. */
static struct mm *next(struct objects *objects, size_t *i)
{
	struct mm *mm;

	while ((mm = objects_at(objects, (*i)++)))
		if (!mm_is_gone(mm))
			break;
	return mm;
}

struct mm *objects_mm(struct objects *objects, uint32_t id)
{
	struct mm *mm;

	for (size_t i = 0; (mm = objects_at(objects, i)); i++)
		if (mm->id == id)
			return mm;
	return NULL;
}

int objects_end(struct objects *objects, uint32_t id, struct error *err)
{
	struct mm *mm = objects_mm(objects, id);

	return mm ? mm_end(mm, err) :
	       error_set(err, CODE_PEER, NULL,
			 "the source says that object %u is gone, which it did not announce", id);
}

struct mm *objects_mm_of(struct objects *objects, pid_t pid)
{
	struct mm *mm;

	for (size_t i = 0; (mm = next(objects, &i));)
		if (mm->pid == pid)
			return mm;
	return NULL;
}

void objects_final(struct objects *objects, uint64_t *have, uint64_t *lack)
{
	struct mm *mm;

	*have = *lack = 0;
	for (size_t i = 0; (mm = next(objects, &i));) {
		uint64_t here, missing;

		mm_final(mm, &here, &missing);
		*have += here;
		*lack += missing;
	}
}

bool objects_end_round(struct objects *objects, uint32_t round)
{
	struct mm *mm;

	for (size_t i = 0; (mm = next(objects, &i));)
		if (mm->round < round)
			return false;
	for (size_t i = 0; (mm = next(objects, &i));)
		mm_end_round(mm);
	return true;
}

bool objects_are_listed(struct objects *objects)
{
	struct mm *mm;

	for (size_t i = 0; (mm = next(objects, &i));)
		if (!mm->listed)
			return false;
	return true;
}

int objects_end_seal(struct objects *objects, struct error *err)
{
	struct mm *mm;

	for (size_t i = 0; (mm = next(objects, &i));) {
		bool sealed;

		mm_lock(mm);
		sealed = mm->sealed;
		mm_unlock(mm);
		if (!sealed)
			return error_set(err, CODE_PEER, NULL,
					 "the images lack process %d, whose memory came", mm->pid);
	}
	/* not before the last one: pages that are fetched for its images are limited too */
	budget_settle(objects->budget);
	return 0;
}

void objects_ready(struct objects *objects)
{
	struct mm *mm;

	for (size_t i = 0; (mm = next(objects, &i));)
		spaces_ready(mm);
}

void objects_fail(struct objects *objects)
{
	struct mm *mm;

	for (size_t i = 0; (mm = next(objects, &i));)
		mm_fail(mm);
}

bool objects_wait(struct objects *objects, int timeout_ms)
{
	int64_t until_ms = clock_now_ms() + timeout_ms;
	struct mm *mm;

	for (size_t i = 0; (mm = next(objects, &i));) {
		int64_t left = timeout_ms < 0 ? -1 : until_ms - clock_now_ms();

		if (!spaces_wait_done(mm, left < 0 && timeout_ms >= 0 ? 0 : left))
			return false;
	}
	return true;
}

uint64_t objects_wanted(struct objects *objects)
{
	uint64_t wanted = 0;
	struct mm *mm;

	for (size_t i = 0; (mm = next(objects, &i));) {
		mm_lock(mm);
		wanted += mm->wanted.pages.nr;
		mm_unlock(mm);
	}
	return wanted;
}

void objects_counts(struct objects *objects, struct counts *counts)
{
	struct mm *mm;

	*counts = (struct counts){ 0 };
	for (size_t i = 0; (mm = next(objects, &i));) {
		mm_lock(mm);
		if (mm->counts.from_mirror > mm->counts.late)
			counts->precopy_pages += mm->counts.from_mirror - mm->counts.late;
		counts->push_pages += mm->counts.push;
		counts->fault_pages += mm->counts.fault;
		counts->zero_pages += mm->counts.zero;
		counts->image_pages += mm->counts.image;
		counts->faults += mm->counts.faults;
		mm_unlock(mm);
	}
}

uint64_t objects_orphans(struct objects *objects)
{
	uint64_t orphans = 0;
	struct mm *mm;

	for (size_t i = 0; (mm = next(objects, &i));) {
		mm_lock(mm);
		for (size_t j = 0; j < mm->nr_spaces; j++)
			orphans += mm->spaces[j]->gone ? 0 : mm->spaces[j]->orphans;
		mm_unlock(mm);
	}
	return orphans;
}

void objects_close_uffds(struct objects *objects)
{
	struct mm *mm;

	for (size_t i = 0; (mm = next(objects, &i));)
		mm_close_uffds(mm);
}
