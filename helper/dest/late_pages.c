// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that come after FINAL: into the spaces that lack them, into the mirror
 * where that cannot be done now.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "dest/epoch.h"
#include "dest/mm.h"
#include "pages/sets.h"

/* What is to be installed, while the spaces that lack it are gone through. */
struct arrival {
	uint64_t origin;
	const uint8_t *data;
	bool leftover;		/* some space lacks it still */
	int failed;		/* errno */
};

static bool install_arrival(struct space *space, uint64_t addr, uint64_t origin,
			    uint64_t nr_pages, void *ctx)
{
	struct arrival *arrival = ctx;
	const uint8_t *src = arrival->data ? arrival->data + (origin - arrival->origin) : NULL;
	uint64_t done;

	switch (space_install(space, addr, nr_pages, src, &done)) {
	case INSTALL_OK:
	case INSTALL_GONE:
		return true;
	case INSTALL_AGAIN:
		arrival->leftover = true;
		return true;
	case INSTALL_FAILED:
		break;
	}
	arrival->failed = errno;
	return false;
}

static int keep_arrival(struct mm *mm, uint64_t origin, uint64_t nr_pages,
			const void *data, struct error *err)
{
	if (!data) {
		/* a hole of the memfd reads as zeros */
		mirror_punch(&mm->mirror, origin, nr_pages);
		return mirror_add(&mm->mirror, origin, nr_pages, err);
	}
	return mirror_write(&mm->mirror, origin, nr_pages, data, err);
}

static int take_run(struct mm *mm, uint64_t origin, uint64_t nr_pages, const void *data,
		    struct error *err)
{
	struct arrival arrival = {
		.origin = origin, .data = data,
		.leftover = !mm->sealed || mm_awaits_fork(mm, origin, nr_pages),
	};

	for (size_t i = 0; i < mm->nr_spaces && !arrival.failed; i++)
		if (!mm->spaces[i]->gone)
			space_each_lacking(mm->spaces[i], origin, nr_pages, install_arrival,
					   &arrival);
	if (arrival.failed) {
		errno = arrival.failed;
		return error_errno(err, CODE_INTERNAL, NULL, "cannot install %lu pages of 0x%lx",
				   nr_pages, origin);
	}
	page_set_remove(&mm->wanted, origin, nr_pages);
	page_set_remove(&mm->asked, origin, nr_pages);
	if (!arrival.leftover) {
		budget_installed(mm->mirror.budget, nr_pages * PAGE_BYTES);
		return 0;
	}
	if (keep_arrival(mm, origin, nr_pages, data, err))
		return -1;
	mm->counts.late += nr_pages;
	mm_set_work(mm);
	mm->retry = true;
	mm_kick(mm);
	if (mm->sealed)
		mm_release(mm, origin, nr_pages);
	return 0;
}

/* An install has met a process that has ended: what only that process lacked is let go at once. */
static void bury_found(struct mm *mm)
{
	for (size_t i = 0; i < mm->nr_spaces; i++)
		if (mm->spaces[i]->gone && mm->spaces[i]->uffd >= 0)
			mm_bury(mm, mm->spaces[i]);
}

int mm_take(struct mm *mm, uint64_t origin, uint64_t nr_pages, const void *data,
		bool urgent, struct error *err)
{
	uint64_t addr = origin, end = origin + nr_pages * PAGE_BYTES;
	struct run run;
	int ret = 0;

	if (urgent)
		mm_lock_urgent(mm);
	else
		mm_lock(mm);
	/* what is not wanted was dropped meanwhile, or came the other way already */
	while (!ret && addr < end && page_set_next(&mm->wanted, addr, end, 0, &run)) {
		const uint8_t *src = data;

		if (src)
			src += run.addr - origin;
		else
			mm->counts.zero += run.nr_pages;
		if (data && mm->sealed && urgent)
			mm->counts.fault += run.nr_pages;
		else if (data && mm->sealed)
			mm->counts.push += run.nr_pages;
		ret = take_run(mm, run.addr, run.nr_pages, src, err);
		addr = run_end(&run);
		place_came(mm->place, run.nr_pages * PAGE_BYTES);
	}
	bury_found(mm);
	pthread_cond_broadcast(&mm->changed);
	mm_unlock(mm);
	return ret;
}

enum install mm_from_mirror(struct mm *mm, struct space *space, uint64_t addr,
			       uint64_t nr_pages)
{
	uint64_t origin = space_origin(space, addr, &nr_pages), done;
	uint8_t page[PAGE_BYTES];
	struct error err = { 0 };
	enum install ret;
	struct run run;
	void *src;

	if (!page_set_next(&mm->mirror.have, origin, origin + nr_pages * PAGE_BYTES, 0, &run) ||
	    run.addr != origin)
		return INSTALL_AGAIN;
	src = mirror_at(&mm->mirror, origin, run.nr_pages);
	if (!src) {
		src = page;
		run.nr_pages = 1;
		if (mirror_read(&mm->mirror, origin, 1, page, &err))
			return INSTALL_FAILED;
	}
	ret = space_install(space, addr, run.nr_pages, src, &done);
	if (done) {
		mm->counts.from_mirror += done;
		budget_installed(mm->mirror.budget, done * PAGE_BYTES);
		mm_release(mm, origin, done);
	}
	return ret;
}

int mm_pushed(struct mm *mm, struct error *err)
{
	int ret;

	mm_lock(mm);
	mm->pushed = true;
	ret = mm_request(mm, 0, USER_END / PAGE_BYTES, err);
	pthread_cond_broadcast(&mm->changed);
	mm_unlock(mm);
	return ret;
}

void mm_fail(struct mm *mm)
{
	mm_lock(mm);
	mm->failed = true;
	pthread_cond_broadcast(&mm->changed);
	mm_unlock(mm);
}

bool mm_done(const struct mm *mm)
{
	if (!mm->sealed)
		return false;
	for (size_t i = 0; i < mm->nr_spaces; i++)
		if (!mm->spaces[i]->gone &&
		    (mm->spaces[i]->lost || mm->spaces[i]->todo.nr || mm->spaces[i]->past.nr))
			return false;
	return true;
}

bool mm_wait_done(struct mm *mm, int timeout_ms)
{
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, timeout_ms < 0 ? 0 : timeout_ms);
	bool done, in_time = true;

	mm_lock(mm);
	while (!(done = mm_done(mm)) && in_time && !(timeout_ms < 0 && mm->failed)) {
		if (timeout_ms < 0)
			pthread_cond_wait(&mm->changed, &mm->lock);
		else
			in_time = !pthread_cond_timedwait(&mm->changed, &mm->lock, &until);
	}
	mm_unlock(mm);
	return done;
}

bool mm_is_gone(struct mm *mm)
{
	bool gone;

	mm_lock(mm);
	gone = mm->nr_spaces && mm->spaces[0]->gone;
	mm_unlock(mm);
	return gone;
}

int mm_attach(struct mm *mm, int uffd, struct error *err)
{
	struct space *space;
	int ret;

	mm_lock(mm);
	space = mm->sealed ? mm->spaces[0] : NULL;
	if (!space || space->uffd >= 0 || uffd < 0) {
		mm_unlock(mm);
		if (uffd >= 0)
			close(uffd);
		return error_set(err, CODE_CRIU, NULL, "CRIU sent a userfaultfd that is not expected");
	}
	space->uffd = uffd;
	ret = mm->hooks.hold(mm->hooks.ctx, uffd, &space->handle, err);
	if (!ret)
		ret = mm->hooks.watch(mm->hooks.ctx, space, true, err);
	mm_set_work(mm);
	pthread_cond_broadcast(&mm->changed);
	mm_unlock(mm);
	return ret;
}

void mm_ready(struct mm *mm)
{
	mm_lock(mm);
	mm->spaces[0]->ready = true;
	mm_set_work(mm);
	mm->retry = true;
	pthread_cond_broadcast(&mm->changed);
	mm_kick(mm);
	mm_unlock(mm);
}

void mm_bury(struct mm *mm, struct space *space)
{
	uint64_t addr = 0;
	struct run run;

	space->gone = true;
	mm_close_uffd(mm, space);
	epoch_drop(mm, space);
	while (page_set_next(&space->todo, addr, USER_END, 0, &run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);

		page_set_remove(&space->todo, run.addr, run.nr_pages);
		mm_release(mm, origin, run.nr_pages);
		addr = run_end(&run);
	}
	space->nr_waiting = 0;
	pthread_cond_broadcast(&mm->changed);
}
