// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <unistd.h>
#include "base/clock.h"
#include "pages/epoch.h"
#include "dest/lost_pages.h"
#include "dest/spaces.h"
#include "pages/sets.h"

void spaces_bury(struct mm *mm, struct space *space)
{
	uint64_t addr = 0;
	struct run run;

	space->gone = true;
	mm_close_uffd(mm, space);
	epoch_drop(&mm->spaces, space);
	while (page_set_next(&space->todo, addr, USER_END, 0, &run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);

		page_set_remove(&space->todo, run.addr, run.nr_pages);
		mm_release(mm, origin, run.nr_pages);
		addr = run_end(&run);
	}
	space->nr_waiting = 0;
	pthread_cond_broadcast(&mm->changed);
}

enum install spaces_fill(struct mm *mm, struct space *space, uint64_t addr,
			       uint64_t nr_pages)
{
	uint64_t origin = space_origin(space, addr, &nr_pages), done;
	uint8_t page[PAGE_BYTES];
	struct error err = { 0 };
	enum install ret;
	struct run run;
	void *src;

	if (mm_is_lost(mm, origin)) {
		ret = lost_pages_fill(mm, space, addr, nr_pages, &done);
		if (done)
			mm_release(mm, origin, done);
		return ret;
	}
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

/* What can never come is not waited for. */
static bool is_done(const struct mm *mm, struct space *space)
{
	if (space->lost || space->past.nr)
		return false;
	return !space->todo.nr || lost_pages_are_all(mm, space);
}

bool spaces_done(const struct mm *mm)
{
	if (!mm->sealed)
		return false;
	for (size_t i = 0; i < mm->spaces.nr; i++)
		if (!mm->spaces.list[i]->gone && !is_done(mm, mm->spaces.list[i]))
			return false;
	return !lost_pages_must_end(mm);
}

bool spaces_wait_done(struct mm *mm, int timeout_ms)
{
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, timeout_ms < 0 ? 0 : timeout_ms);
	bool done, in_time = true;

	mm_lock(mm);
	while (!(done = spaces_done(mm)) && in_time && !(timeout_ms < 0 && mm->failed)) {
		if (timeout_ms < 0)
			pthread_cond_wait(&mm->changed, &mm->lock);
		else
			in_time = !pthread_cond_timedwait(&mm->changed, &mm->lock, &until);
	}
	mm_unlock(mm);
	return done;
}

bool spaces_is_gone(struct mm *mm)
{
	bool gone;

	mm_lock(mm);
	gone = mm->spaces.nr && mm->spaces.list[0]->gone;
	mm_unlock(mm);
	return gone;
}

int spaces_attach(struct mm *mm, int uffd, struct error *err)
{
	struct space *space;
	int ret;

	mm_lock(mm);
	space = mm->sealed ? mm->spaces.list[0] : NULL;
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

void spaces_ready(struct mm *mm)
{
	mm_lock(mm);
	mm->spaces.list[0]->ready = true;
	mm_set_work(mm);
	mm->spaces.retry = true;
	pthread_cond_broadcast(&mm->changed);
	mm_kick(mm);
	mm_unlock(mm);
}
