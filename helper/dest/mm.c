// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "dest/mm.h"
#include "pages/sets.h"

static void init(struct mm *mm, const struct mm_hooks *hooks)
{
	pthread_condattr_t attr;

	mm->hooks = *hooks;
	pthread_mutex_init(&mm->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&mm->changed, &attr);
	pthread_condattr_destroy(&attr);
}

int mm_init(struct mm *mm, const struct mm_hooks *hooks, struct error *err)
{
	memset(mm, 0, sizeof(*mm));
	init(mm, hooks);
	return mirror_open(&mm->mirror, err);
}

int mm_init_shm(struct mm *mm, const struct mm_hooks *hooks, const char *name, unsigned int flags,
		struct error *err)
{
	memset(mm, 0, sizeof(*mm));
	mm->shm = true;
	init(mm, hooks);
	return mirror_open_as(&mm->mirror, name, flags, err);
}

int mm_init_file(struct mm *mm, const struct mm_hooks *hooks, const char *path, struct error *err)
{
	memset(mm, 0, sizeof(*mm));
	mm->shm = true;
	init(mm, hooks);
	return mirror_open_file(&mm->mirror, path, err);
}

int mm_init_tmpfs(struct mm *mm, const struct mm_hooks *hooks, int dir_fd, struct error *err)
{
	memset(mm, 0, sizeof(*mm));
	mm->shm = true;
	init(mm, hooks);
	return mirror_open_tmpfs(&mm->mirror, dir_fd, err);
}

void mm_close_uffd(struct mm *mm, struct space *space)
{
	struct error ignored = { 0 };

	if (space->uffd < 0)
		return;
	/* the keeper's duplicate keeps the file: epoll would go on reporting it */
	mm->hooks.watch(mm->hooks.ctx, space, false, &ignored);
	close(space->uffd);
	space->uffd = -1;
	if (space->handle >= 0)
		mm->hooks.release(mm->hooks.ctx, space->handle);
	space->handle = -1;
}

void mm_close_uffds(struct mm *mm)
{
	mm_lock(mm);
	for (size_t i = 0; i < mm->spaces.nr; i++)
		mm_close_uffd(mm, mm->spaces.list[i]);
	mm_unlock(mm);
}

void mm_destroy(struct mm *mm)
{
	mm_close_uffds(mm);
	space_set_free(&mm->spaces);
	page_set_destroy(&mm->populated);
	wanted_destroy(&mm->wanted);
	page_set_destroy(&mm->lost);
	mirror_close(&mm->mirror);
	pthread_cond_destroy(&mm->changed);
	pthread_mutex_destroy(&mm->lock);
}

int mm_announce(struct mm *mm, const struct mirror_range *ranges, size_t nr,
		    struct error *err)
{
	uint64_t addr = 0;
	struct run run;
	int ret;

	mm_lock(mm);
	/* from FINAL on the windows of the mirror stay as they are */
	ret = mm->final ? error_set(err, CODE_PEER, NULL, "the source sent mappings after FINAL") :
	      mm->gone ? error_set(err, CODE_PEER, NULL,
				   "the source sent mappings of object %u, which is gone", mm->id) :
	      mirror_announce(&mm->mirror, ranges, nr, err);
	for (size_t i = 0; !ret && i <= nr; i++) {
		uint64_t end = i < nr ? ranges[i].start : USER_END;

		while (page_set_next(&mm->mirror.have, addr, end, 0, &run)) {
			mirror_punch(&mm->mirror, run.addr, run.nr_pages);
			addr = run_end(&run);
		}
		addr = i < nr ? ranges[i].end : USER_END;
	}
	mm_unlock(mm);
	return ret;
}

/* Lock held. */
static int check_announced(const struct mm *mm, const struct splice_vm_run *runs, uint32_t nr_runs,
			   struct error *err)
{
	for (uint32_t i = 0; i < nr_runs; i++)
		if (!mirror_announced(&mm->mirror, runs[i].addr, runs[i].nr_pages))
			return error_set(err, CODE_PEER, NULL,
					 "page 0x%llx of object %u lies outside of the mappings that the source announced",
					 runs[i].addr, mm->id);
	return 0;
}

int mm_begin_receive(struct mm *mm, const struct splice_vm_run *runs, uint32_t nr_runs,
		     struct mirror_windows **windows, struct error *err)
{
	uint64_t nr_pages = 0;
	int ret;

	for (uint32_t i = 0; i < nr_runs; i++)
		nr_pages += runs[i].nr_pages;
	mm_lock(mm);
	ret = mm->gone ? 1 : check_announced(mm, runs, nr_runs, err) ||
			     mirror_check_room(&mm->mirror, nr_pages, err) ? -1 : 0;
	if (!ret)
		*windows = mirror_windows_get(&mm->mirror);
	mm_unlock(mm);
	return ret;
}

/* Lock held. Return: how many of these pages are no repetition: each page comes once a round */
static uint64_t count_new(struct mm *mm, uint64_t nr_pages)
{
	uint64_t have = mm->mirror.have.nr;
	uint64_t left = have > mm->round_pages ? have - mm->round_pages : 0;

	mm->round_pages += nr_pages;
	return nr_pages < left ? nr_pages : left;
}

int mm_end_receive(struct mm *mm, struct mirror_windows *windows, const struct splice_vm_run *runs,
		   uint32_t nr_runs, struct error *err)
{
	uint64_t nr_pages = 0;
	int ret;

	mm_lock(mm);
	mirror_windows_put(windows);
	if (mm->gone)
		nr_runs = 0;
	/* a list of mappings that came meanwhile has dropped what the list does not have */
	ret = check_announced(mm, runs, nr_runs, err);
	for (uint32_t i = 0; i < nr_runs && !ret; i++) {
		ret = mirror_add(&mm->mirror, runs[i].addr, runs[i].nr_pages, err);
		nr_pages += runs[i].nr_pages;
	}
	nr_pages = count_new(mm, nr_pages);
	mm_unlock(mm);
	place_came(mm->place, nr_pages * PAGE_BYTES);
	return ret;
}

void mm_end_round(struct mm *mm)
{
	mm_lock(mm);
	mm->round_pages = mm->round_copies = 0;
	mm_unlock(mm);
}

bool mm_is_final(struct mm *mm)
{
	bool final;

	mm_lock(mm);
	final = mm->final;
	mm_unlock(mm);
	return final;
}

/*
 * A program that begins processes all the time leaves many address spaces behind: none may keep a
 * descriptor, mappings of this helper, or its part of the budget. The struct stays: a thread may be
 * about to lock it.
 */
int mm_end(struct mm *mm, struct error *err)
{
	int ret = 0;

	mm_lock(mm);
	if (mm->final)
		ret = error_set(err, CODE_PEER, NULL,
				"the source says after FINAL that object %u is gone", mm->id);
	else if (mm->gone)
		ret = error_set(err, CODE_PEER, NULL,
				"the source says twice that object %u is gone", mm->id);
	if (!ret) {
		mm->gone = true;
		mm->hooks.release(mm->hooks.ctx, mm->mirror_handle);
		mm->mirror_handle = -1;
		mirror_close(&mm->mirror);
		page_set_destroy(&mm->populated);
		wanted_destroy(&mm->wanted);
	}
	mm_unlock(mm);
	return ret;
}

bool mm_is_gone(struct mm *mm)
{
	bool gone;

	mm_lock(mm);
	gone = mm->gone;
	mm_unlock(mm);
	return gone;
}

void mm_drop(struct mm *mm, const struct splice_vm_run *runs, uint32_t nr_runs)
{
	struct run run;

	mm_lock(mm);
	if (mm->gone)
		nr_runs = 0;
	for (uint32_t i = 0; i < nr_runs; i++) {
		uint64_t addr = runs[i].addr;
		uint64_t end = addr + runs[i].nr_pages * PAGE_BYTES;

		/* most of what is dropped was never here: no system call for that */
		while (page_set_next(&mm->mirror.have, addr, end, 0, &run)) {
			mirror_punch(&mm->mirror, run.addr, run.nr_pages);
			addr = run_end(&run);
		}
	}
	mm_unlock(mm);
}

/* A page here will be memory of the program, and may be in @wanted, @asked and a space's @todo. */
static int populate_run(struct mm *mm, const struct splice_vm_run *run, struct error *err)
{
	uint64_t had = mm->populated.nr, again;

	/* before the sets grow: a short run may name terabytes */
	if (budget_list(mm->mirror.budget, run->nr_pages * PAGE_BYTES, err) ||
	    mirror_pay(&mm->mirror, 4 * page_set_cost(&mm->populated, run->addr, run->nr_pages),
		       err) ||
	    page_set_add(&mm->populated, run->addr, run->nr_pages, err))
		return -1;
	again = run->nr_pages - (mm->populated.nr - had);
	budget_unlist(mm->mirror.budget, again * PAGE_BYTES);
	return 0;
}

int mm_populate(struct mm *mm, const struct splice_vm_run *runs, uint32_t nr_runs,
		    struct error *err)
{
	int ret;

	mm_lock(mm);
	ret = check_announced(mm, runs, nr_runs, err);
	for (uint32_t i = 0; i < nr_runs && !ret; i++)
		ret = populate_run(mm, &runs[i], err);
	mm_unlock(mm);
	return ret;
}

/* Nothing is kept in the mirror but what is in @keep. */
static void trim_mirror(struct mm *mm, const struct page_set *keep)
{
	uint64_t addr = 0;
	struct run run;

	while (sets_next_only(&mm->mirror.have, keep, addr, USER_END, 0, &run)) {
		mirror_punch(&mm->mirror, run.addr, run.nr_pages);
		addr = run_end(&run);
	}
}

void mm_final(struct mm *mm, uint64_t *have, uint64_t *lack)
{
	mm_lock(mm);
	trim_mirror(mm, &mm->populated);
	mm->final = true;
	*have = mm->mirror.have.nr;
	*lack = mm->populated.nr - mm->mirror.have.nr;
	mm_unlock(mm);
}

int mm_seal(struct mm *mm, const struct page_set *lazy, struct error *err)
{
	struct space *space = space_new(-1, err);
	uint64_t addr = 0;
	struct run run;
	int ret = 0;

	if (!space)
		return -1;
	mm_lock(mm);
	for (; !ret && sets_next_both(&mm->populated, lazy, addr, USER_END, 0, &run);
	     addr = run_end(&run))
		ret = page_set_add(&space->todo, run.addr, run.nr_pages, err);
	if (!ret)
		trim_mirror(mm, &space->todo);
	/* what was fetched for the images is of no further interest */
	wanted_clear(&mm->wanted);
	for (addr = 0;
	     !ret && sets_next_only(&space->todo, &mm->mirror.have, addr, USER_END, 0, &run);
	     addr = run_end(&run))
		ret = wanted_add(&mm->wanted, run.addr, run.nr_pages, err);
	mm->counts.image = mm->populated.nr - space->todo.nr;
	space->ready = false;
	if (ret)
		space_free(space);
	else
		ret = space_set_add(&mm->spaces, space, err);
	mm->sealed = !ret;
	mm_unlock(mm);
	return ret;
}

void mm_give_mirror(struct mm *mm)
{
	mm->hooks.release(mm->hooks.ctx, mm->mirror_handle);
	mm->mirror_handle = -1;
	mirror_close(&mm->mirror);
}

void mm_fail(struct mm *mm)
{
	mm_lock(mm);
	mm->failed = true;
	pthread_cond_broadcast(&mm->changed);
	mm_unlock(mm);
}

static void give_back(struct mm *mm, uint64_t origin, uint64_t nr_pages)
{
	uint64_t end = origin + nr_pages * PAGE_BYTES, addr = origin;
	struct run run;

	wanted_remove(&mm->wanted, origin, nr_pages);
	if (mm->lost.nr)
		page_set_remove(&mm->lost, origin, nr_pages);
	while (addr < end && page_set_next(&mm->mirror.have, addr, end, 0, &run)) {
		mirror_punch(&mm->mirror, run.addr, run.nr_pages);
		addr = run_end(&run);
	}
}

/* Pages leave the mirror when no address space needs them any longer. */
void mm_release(struct mm *mm, uint64_t origin, uint64_t nr_pages)
{
	uint64_t start = 0;

	if (!space_set_needs(&mm->spaces, origin, nr_pages)) {
		give_back(mm, origin, nr_pages);
		return;
	}
	for (uint64_t i = 0; i <= nr_pages; i++) {
		if (i < nr_pages && !space_set_needs(&mm->spaces, origin + i * PAGE_BYTES, 1))
			continue;
		if (i > start)
			give_back(mm, origin + start * PAGE_BYTES, i - start);
		start = i + 1;
	}
}
