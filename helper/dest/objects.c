// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "base/clock.h"
#include "dest/late_pages.h"
#include "dest/lost_pages.h"
#include "dest/objects.h"
#include "dest/spaces.h"
#include "wire/stream.h"


void objects_init(struct objects *objects, const struct mm_hooks *hooks, struct budget *budget,
		  struct place *place)
{
	*objects = (struct objects){ .hooks = *hooks, .budget = budget, .place = place };
	pthread_mutex_init(&objects->lock, NULL);
	latency_init(&objects->fault_times);
}

void objects_destroy(struct objects *objects)
{
	for (size_t i = 0; i < OBJECTS_BUCKETS; i++) {
		struct mm *next;

		for (struct mm *mm = objects->by_id[i]; mm; mm = next) {
			next = mm->in_objects.next_id;
			mm_destroy(mm);
			free(mm);
		}
	}
	latency_destroy(&objects->fault_times);
	pthread_mutex_destroy(&objects->lock);
}

static struct mm **bucket(struct mm **table, uint32_t key)
{
	return &table[key % OBJECTS_BUCKETS];
}

/* Lock held. What comes behind @mm stays where it is: a thread may stand at @mm. */
static void unlink_mm(struct objects *objects, const struct mm *mm)
{
	struct mm *prev = mm->in_objects.prev, *next = mm->in_objects.next;

	*(prev ? &prev->in_objects.next : &objects->first) = next;
	*(next ? &next->in_objects.prev : &objects->last) = prev;
}

static void put(struct objects *objects, struct mm *mm)
{
	struct mm **by_id = bucket(objects->by_id, mm->id);
	struct mm **by_pid = bucket(objects->by_pid, mm->pid), *last;

	pthread_mutex_lock(&objects->lock);
	last = objects->last;
	mm->in_objects.next_id = *by_id;
	*by_id = mm;
	if (!mm->shm) {
		mm->in_objects.next_pid = *by_pid;
		*by_pid = mm;
	}
	mm->in_objects.prev = last;
	*(last ? &last->in_objects.next : &objects->first) = mm;
	objects->last = mm;
	if (last && last->in_objects.gone)
		unlink_mm(objects, last);
	objects->nr++;
	objects->ever++;
	pthread_mutex_unlock(&objects->lock);
}

/** struct making - what an mm is made of; without @name, @path and @tmpfs, the root of one, it is an address space */
struct making {
	uint32_t id;
	pid_t pid;
	const char *name, *path;
	const int *tmpfs;
	unsigned int flags;
};

static int init(struct mm *mm, const struct mm_hooks *hooks, const struct making *from,
		struct error *err)
{
	if (from->tmpfs)
		return mm_init_tmpfs(mm, hooks, *from->tmpfs, err);
	if (from->path)
		return mm_init_file(mm, hooks, from->path, err);
	return from->name ? mm_init_shm(mm, hooks, from->name, from->flags, err) :
	       mm_init(mm, hooks, err);
}

static struct mm *make(struct objects *objects, const struct making *from, struct error *err)
{
	struct mm *mm = calloc(1, sizeof(*mm));

	if (!mm || init(mm, &objects->hooks, from, err)) {
		if (!mm)
			error_errno(err, CODE_INTERNAL, NULL, "no memory for an address space");
		free(mm);
		return NULL;
	}
	mm->id = from->id;
	mm->pid = from->pid;
	mm->place = objects->place;
	mm->mirror.budget = objects->budget;
	mm->spaces.answered.all = &objects->fault_times;
	/* it stays when the address space is gone */
	if (!budget_take(objects->budget, BUDGET_BOOKS, sizeof(*mm), err) &&
	    !objects->hooks.hold(objects->hooks.ctx, mm->mirror.fd, &mm->mirror_handle, err))
		return mm;
	mm_destroy(mm);
	free(mm);
	return NULL;
}

static struct mm *add(struct objects *objects, const struct making *from, struct error *err)
{
	struct mm *mm;

	if (objects->nr >= OBJECTS_MAX || objects->ever >= OBJECTS_EVER) {
		error_set(err, CODE_REFUSED, NULL,
			  objects->nr >= OBJECTS_MAX ?
			  "the program has more than %d processes and shared memory objects" :
			  "more than %d processes began while the program was copied",
			  objects->nr >= OBJECTS_MAX ? OBJECTS_MAX : OBJECTS_EVER);
		return NULL;
	}
	if (objects_mm(objects, from->id) || (from->pid && objects_mm_of(objects, from->pid))) {
		error_set(err, CODE_PEER, NULL, "the source announced object %u (task %d) twice",
			  from->id, from->pid);
		return NULL;
	}
	mm = make(objects, from, err);
	if (mm)
		put(objects, mm);
	return mm;
}

struct mm *objects_add_mm(struct objects *objects, uint32_t id, pid_t pid, struct error *err)
{
	return add(objects, &(struct making){ .id = id, .pid = pid }, err);
}

struct mm *objects_add_shm(struct objects *objects, uint32_t id, const char *name,
			   unsigned int flags, struct error *err)
{
	return add(objects, &(struct making){ .id = id, .name = name, .flags = flags }, err);
}

int objects_are_held(struct objects *objects, struct error *err)
{
	return objects->hooks.holds_all(objects->hooks.ctx, err);
}

struct mm *objects_mm(struct objects *objects, uint32_t id)
{
	struct mm *mm;

	pthread_mutex_lock(&objects->lock);
	mm = *bucket(objects->by_id, id);
	while (mm && mm->id != id)
		mm = mm->in_objects.next_id;
	pthread_mutex_unlock(&objects->lock);
	return mm;
}

struct mm *objects_mm_of(struct objects *objects, pid_t pid)
{
	struct mm *mm;

	pthread_mutex_lock(&objects->lock);
	mm = *bucket(objects->by_pid, pid);
	while (mm && mm->pid != pid)
		mm = mm->in_objects.next_pid;
	pthread_mutex_unlock(&objects->lock);
	return mm;
}

struct mm *objects_next(struct objects *objects, const struct mm *mm)
{
	struct mm *next;

	pthread_mutex_lock(&objects->lock);
	next = mm ? mm->in_objects.next : objects->first;
	while (next && next->in_objects.gone)
		next = next->in_objects.next;
	pthread_mutex_unlock(&objects->lock);
	return next;
}

size_t objects_nr(struct objects *objects)
{
	size_t nr;

	pthread_mutex_lock(&objects->lock);
	nr = objects->nr;
	pthread_mutex_unlock(&objects->lock);
	return nr;
}

static void take_out(struct objects *objects, struct mm *mm)
{
	struct mm **at = bucket(objects->by_pid, mm->pid);

	pthread_mutex_lock(&objects->lock);
	while (!mm->shm && *at != mm)
		at = &(*at)->in_objects.next_pid;
	if (!mm->shm)
		*at = mm->in_objects.next_pid;
	mm->in_objects.gone = true;
	if (objects->last != mm)
		unlink_mm(objects, mm);
	objects->nr--;
	pthread_mutex_unlock(&objects->lock);
}

struct mm *objects_add_file(struct objects *objects, uint32_t id, const char *path,
			    struct error *err)
{
	return add(objects, &(struct making){ .id = id, .path = path }, err);
}

struct mm *objects_add_tmpfs(struct objects *objects, uint32_t id, uint32_t nr, struct error *err)
{
	if (nr && nr <= objects->nr_tmpfs)
		return add(objects, &(struct making){ .id = id, .tmpfs = &objects->tmpfs[nr - 1] }, err);
	error_set(err, CODE_PEER, NULL, "the source announced a file of tmpfs %u, and %zu of these", nr,
		  objects->nr_tmpfs);
	return NULL;
}

int objects_end(struct objects *objects, uint32_t id, struct error *err)
{
	struct mm *mm = objects_mm(objects, id);

	if (!mm)
		return error_set(err, CODE_PEER, NULL,
				 "the source says that object %u is gone, which it did not announce",
				 id);
	if (mm_end(mm, err))
		return -1;
	take_out(objects, mm);
	return 0;
}

void objects_final(struct objects *objects, uint64_t *have, uint64_t *lack)
{
	struct mm *mm = NULL;

	*have = *lack = 0;
	while ((mm = objects_next(objects, mm))) {
		uint64_t here, missing;

		mm_final(mm, &here, &missing);
		*have += here;
		*lack += missing;
	}
}

bool objects_end_round(struct objects *objects, uint32_t round)
{
	struct mm *mm;

	while ((mm = objects_next(objects, objects->rounded))) {
		if (mm->round < round)
			return false;
		objects->rounded = mm;
	}
	objects->rounded = NULL;
	return true;
}

void objects_begin_round(struct objects *objects)
{
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm)))
		mm_end_round(mm);
}

bool objects_are_listed(struct objects *objects)
{
	struct mm *mm;

	while ((mm = objects_next(objects, objects->listed))) {
		if (!mm->listed)
			return false;
		objects->listed = mm;
	}
	return true;
}

int objects_end_seal(struct objects *objects, struct error *err)
{
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm))) {
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
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm)))
		if (!mm->shm)
			spaces_ready(mm);
}

void objects_fail(struct objects *objects)
{
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm)))
		mm_fail(mm);
}

bool objects_wait(struct objects *objects, int timeout_ms)
{
	int64_t until_ms = clock_now_ms() + timeout_ms;
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm))) {
		int64_t left = timeout_ms < 0 ? -1 : until_ms - clock_now_ms();

		if (!spaces_wait_done(mm, left < 0 && timeout_ms >= 0 ? 0 : left))
			return false;
	}
	return true;
}

uint64_t objects_wanted(struct objects *objects)
{
	uint64_t wanted = 0;
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm))) {
		mm_lock(mm);
		wanted += mm->wanted.pages.nr;
		mm_unlock(mm);
	}
	return wanted;
}

void objects_counts(struct objects *objects, struct counts *counts)
{
	struct mm *mm = NULL;

	*counts = (struct counts){ 0 };
	while ((mm = objects_next(objects, mm))) {
		mm_lock(mm);
		if (mm->counts.from_mirror > mm->counts.late)
			counts->precopy_pages += mm->counts.from_mirror - mm->counts.late;
		counts->push_pages += mm->counts.push;
		counts->fault_pages += mm->counts.fault;
		counts->zero_pages += mm->counts.zero + mm->spaces.zero;
		counts->image_pages += mm->counts.image;
		counts->faults += mm->spaces.faults;
		mm_unlock(mm);
	}
}

void objects_fault_times(struct objects *objects, struct fault_times *times)
{
	struct mm *mm = NULL;

	*times = (struct fault_times){ .all = latency_figures(&objects->fault_times) };
	while ((mm = objects_next(objects, mm))) {
		struct fault_process process;

		mm_lock(mm);
		process = (struct fault_process){
			.pid = mm->pid, .faults = mm->spaces.answered.faults,
			.blocked_ns = mm->spaces.answered.blocked_ns,
		};
		mm_unlock(mm);
		fault_times_add(times, &process);
	}
}

pid_t objects_next_to_end(struct objects *objects)
{
	struct mm *mm = NULL;
	pid_t pid = 0;

	while (!pid && (mm = objects_next(objects, mm))) {
		mm_lock(mm);
		if (!mm->killed && lost_pages_must_end(mm)) {
			mm->killed = true;
			pid = mm->pid;
		}
		mm_unlock(mm);
	}
	return pid;
}

void objects_lost(struct objects *objects, struct lost *lost)
{
	struct error ignored = { 0 };
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm))) {
		struct lost_memory memory;

		mm_lock(mm);
		memory = (struct lost_memory){
			.pid = mm->pid, .pages = mm->counts.lost, .killed = mm->killed,
		};
		mm_unlock(mm);
		if (memory.pages)
			lost_add(lost, &memory, &ignored);
	}
}

bool objects_lack_lost(struct objects *objects)
{
	struct mm *mm = NULL;
	bool lack = false;

	while (!lack && (mm = objects_next(objects, mm))) {
		mm_lock(mm);
		for (size_t i = 0; i < mm->spaces.nr && !lack; i++)
			lack = !mm->spaces.list[i]->gone && mm->spaces.list[i]->todo.nr;
		mm_unlock(mm);
	}
	return lack;
}

uint64_t objects_orphans(struct objects *objects)
{
	uint64_t orphans = 0;
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm))) {
		mm_lock(mm);
		for (size_t j = 0; j < mm->spaces.nr; j++)
			orphans += mm->spaces.list[j]->gone ? 0 : mm->spaces.list[j]->orphans;
		mm_unlock(mm);
	}
	return orphans;
}

void objects_close_uffds(struct objects *objects)
{
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm)))
		mm_close_uffds(mm);
}

void objects_remove_files(struct objects *objects)
{
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm)))
		if (mm->shm && !mm->gone)
			mirror_remove_file(&mm->mirror);
}
