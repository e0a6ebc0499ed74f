// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that come after FINAL: into the spaces that lack them, into the mirror
 * where that cannot be done now.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "dest/epoch.h"
#include "dest/memory.h"
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

static int keep_arrival(struct memory *mem, uint64_t origin, uint64_t nr_pages,
			const void *data, struct error *err)
{
	if (!data) {
		/* a hole of the memfd reads as zeros */
		store_punch(&mem->store, origin, nr_pages);
		return store_add(&mem->store, origin, nr_pages, err);
	}
	return store_write(&mem->store, origin, nr_pages, data, err);
}

static int take_run(struct memory *mem, uint64_t origin, uint64_t nr_pages, const void *data,
		    struct error *err)
{
	struct arrival arrival = {
		.origin = origin, .data = data,
		.leftover = !mem->sealed || memory_awaits_fork(mem, origin, nr_pages),
	};

	for (size_t i = 0; i < mem->nr_spaces && !arrival.failed; i++)
		if (!mem->spaces[i]->gone)
			space_each_lacking(mem->spaces[i], origin, nr_pages, install_arrival,
					   &arrival);
	if (arrival.failed) {
		errno = arrival.failed;
		return error_errno(err, CODE_INTERNAL, NULL, "cannot install %lu pages of 0x%lx",
				   nr_pages, origin);
	}
	page_set_remove(&mem->wanted, origin, nr_pages);
	page_set_remove(&mem->asked, origin, nr_pages);
	if (!arrival.leftover) {
		budget_installed(mem->store.budget, nr_pages * PAGE_BYTES);
		return 0;
	}
	if (keep_arrival(mem, origin, nr_pages, data, err))
		return -1;
	mem->counts.late += nr_pages;
	mem->work = true;
	mem->retry = true;
	memory_kick(mem);
	if (mem->sealed)
		memory_release(mem, origin, nr_pages);
	return 0;
}

/* An install has met a process that has ended: what only that process lacked is let go at once. */
static void bury_found(struct memory *mem)
{
	for (size_t i = 0; i < mem->nr_spaces; i++)
		if (mem->spaces[i]->gone && mem->spaces[i]->uffd >= 0)
			memory_bury(mem, mem->spaces[i]);
}

int memory_take(struct memory *mem, uint64_t origin, uint64_t nr_pages, const void *data,
		bool urgent, struct error *err)
{
	uint64_t addr = origin, end = origin + nr_pages * PAGE_BYTES;
	struct run run;
	int ret = 0;

	if (urgent)
		memory_lock_urgent(mem);
	else
		memory_lock(mem);
	/* what is not wanted was dropped meanwhile, or came the other way already */
	while (!ret && addr < end && page_set_next(&mem->wanted, addr, end, 0, &run)) {
		const uint8_t *src = data;

		if (src)
			src += run.addr - origin;
		else
			mem->counts.zero += run.nr_pages;
		if (data && mem->sealed && urgent)
			mem->counts.fault += run.nr_pages;
		else if (data && mem->sealed)
			mem->counts.push += run.nr_pages;
		ret = take_run(mem, run.addr, run.nr_pages, src, err);
		addr = run_end(&run);
		place_came(mem->place, run.nr_pages * PAGE_BYTES);
	}
	bury_found(mem);
	pthread_cond_broadcast(&mem->changed);
	memory_unlock(mem);
	return ret;
}

enum install memory_from_store(struct memory *mem, struct space *space, uint64_t addr,
			       uint64_t nr_pages)
{
	uint64_t origin = space_origin(space, addr, &nr_pages), done;
	uint8_t page[PAGE_BYTES];
	struct error err = { 0 };
	enum install ret;
	struct run run;
	void *src;

	if (!page_set_next(&mem->store.have, origin, origin + nr_pages * PAGE_BYTES, 0, &run) ||
	    run.addr != origin)
		return INSTALL_AGAIN;
	src = store_at(&mem->store, origin, run.nr_pages);
	if (!src) {
		src = page;
		run.nr_pages = 1;
		if (store_read(&mem->store, origin, 1, page, &err))
			return INSTALL_FAILED;
	}
	ret = space_install(space, addr, run.nr_pages, src, &done);
	if (done) {
		mem->counts.from_store += done;
		budget_installed(mem->store.budget, done * PAGE_BYTES);
		memory_release(mem, origin, done);
	}
	return ret;
}

void memory_pushed(struct memory *mem, struct error *err)
{
	memory_lock(mem);
	mem->pushed = true;
	memory_request(mem, 0, USER_END / PAGE_BYTES, err);
	pthread_cond_broadcast(&mem->changed);
	memory_unlock(mem);
}

void memory_fail(struct memory *mem)
{
	memory_lock(mem);
	mem->failed = true;
	pthread_cond_broadcast(&mem->changed);
	memory_unlock(mem);
}

bool memory_done(const struct memory *mem)
{
	if (!mem->sealed)
		return false;
	for (size_t i = 0; i < mem->nr_spaces; i++)
		if (!mem->spaces[i]->gone && (mem->spaces[i]->todo.nr || mem->spaces[i]->past.nr))
			return false;
	return true;
}

int memory_attach(struct memory *mem, int uffd, struct error *err)
{
	struct space *space;
	int ret;

	memory_lock(mem);
	space = mem->sealed ? mem->spaces[0] : NULL;
	if (!space || space->uffd >= 0) {
		memory_unlock(mem);
		close(uffd);
		return error_set(err, CODE_CRIU, NULL, "CRIU sent a userfaultfd that is not expected");
	}
	space->uffd = uffd;
	ret = mem->hooks.hold(mem->hooks.ctx, uffd, &space->handle, err);
	if (!ret)
		ret = mem->hooks.watch(mem->hooks.ctx, space, true, err);
	mem->work = true;
	pthread_cond_broadcast(&mem->changed);
	memory_unlock(mem);
	return ret;
}

void memory_ready(struct memory *mem)
{
	memory_lock(mem);
	mem->spaces[0]->ready = true;
	mem->work = true;
	mem->retry = true;
	pthread_cond_broadcast(&mem->changed);
	memory_unlock(mem);
	memory_kick(mem);
}

void memory_bury(struct memory *mem, struct space *space)
{
	uint64_t addr = 0;
	struct run run;

	space->gone = true;
	memory_close_uffd(mem, space);
	epoch_drop(mem, space);
	while (page_set_next(&space->todo, addr, USER_END, 0, &run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);

		page_set_remove(&space->todo, run.addr, run.nr_pages);
		memory_release(mem, origin, run.nr_pages);
		addr = run_end(&run);
	}
	space->nr_waiting = 0;
	pthread_cond_broadcast(&mem->changed);
}
