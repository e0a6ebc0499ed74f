// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that come after FINAL are installed in the spaces that lack them, or stored in the mirror
 * when the kernel refuses that for now.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "dest/late_pages.h"
#include "dest/spaces.h"
#include "pages/sets.h"

#define FETCH_TIMEOUT_S	60	/* a source that is dead is seen by wire/liveness.h; a slow one is waited for */

/* A run of pages that came, during the walk through the spaces that lack it. */
struct arrival {
	uint64_t origin;
	const uint8_t *data;
	bool leftover;		/* a space still lacks the page */
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
		.leftover = !mm->sealed || space_set_awaits_fork(&mm->spaces, origin, nr_pages),
	};

	for (size_t i = 0; i < mm->spaces.nr && !arrival.failed; i++)
		if (!mm->spaces.list[i]->gone)
			space_each_lacking(mm->spaces.list[i], origin, nr_pages, install_arrival,
					   &arrival);
	if (arrival.failed) {
		errno = arrival.failed;
		return error_errno(err, CODE_INTERNAL, NULL, "cannot install %lu pages of 0x%lx",
				   nr_pages, origin);
	}
	wanted_remove(&mm->wanted, origin, nr_pages);
	if (!arrival.leftover) {
		budget_installed(mm->mirror.budget, nr_pages * PAGE_BYTES);
		return 0;
	}
	if (keep_arrival(mm, origin, nr_pages, data, err))
		return -1;
	mm->counts.late += nr_pages;
	mm_set_work(mm);
	mm->spaces.retry = true;
	mm_kick(mm);
	if (mm->sealed)
		mm_release(mm, origin, nr_pages);
	return 0;
}

/* An install has found an ended process: release the pages that only this process lacked. */
static void bury_found(struct mm *mm)
{
	for (size_t i = 0; i < mm->spaces.nr; i++)
		if (mm->spaces.list[i]->gone && mm->spaces.list[i]->uffd >= 0)
			spaces_bury(mm, mm->spaces.list[i]);
}

int late_pages_take(struct mm *mm, uint64_t origin, uint64_t nr_pages, const void *data,
		bool urgent, struct error *err)
{
	uint64_t addr = origin, end = origin + nr_pages * PAGE_BYTES;
	struct run run;
	int ret = 0;

	if (urgent)
		mm_lock_urgent(mm);
	else
		mm_lock(mm);
	/* a page that is not wanted was dropped meanwhile, or came over the other connection */
	while (!ret && addr < end && page_set_next(&mm->wanted.pages, addr, end, 0, &run)) {
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

/* Lock held. What is on its way over another stream is not asked for. */
static int end_push(struct mm *mm, unsigned int streams, struct error *err)
{
	if (mm->pushed_over != (1u << streams) - 1)
		return 0;
	mm->pushed = true;
	sets_clear(&mm->wanted.asked);
	pthread_cond_broadcast(&mm->changed);
	return mm_request(mm, 0, USER_END / PAGE_BYTES, err) ? -1 : 1;
}

int late_pages_pushed(struct mm *mm, unsigned int stream, unsigned int streams, struct error *err)
{
	int ret;

	mm_lock(mm);
	if (mm->pushed_over & 1u << stream) {
		ret = error_set(err, CODE_PEER, NULL, "the source said twice that all of object %u was pushed", mm->id);
	} else {
		mm->pushed_over |= 1u << stream;
		ret = end_push(mm, streams, err);
	}
	mm_unlock(mm);
	return ret;
}

/* Find the first run of the range that the mirror lacks. */
static bool next_lacking(const struct mm *mm, uint64_t addr, uint64_t end, struct run *run)
{
	struct run have;

	while (addr < end) {
		if (!page_set_next(&mm->mirror.have, addr, end, 0, &have))
			have = (struct run){ .addr = end };
		if (have.addr > addr) {
			run->addr = addr;
			run->nr_pages = (have.addr - addr) / PAGE_BYTES;
			return true;
		}
		addr = run_end(&have);
	}
	return false;
}

/* The caller holds mm.lock. Fetched pages go into the images, where zeros take room too. */
static int pay_fetch(struct mm *mm, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	struct budget *budget = mm->mirror.budget;
	uint64_t books = wanted_cost(&mm->wanted, addr, nr_pages);

	return budget_take(budget, BUDGET_IMAGES, nr_pages * PAGE_BYTES, err) ||
	       budget_take(budget, BUDGET_BOOKS, books, err) ? -1 : 0;
}

int late_pages_fetch(struct mm *mm, uint64_t addr, uint64_t nr_pages, void *buf,
		 struct error *err)
{
	uint64_t begin = clock_now_ns();
	uint64_t end = addr + nr_pages * PAGE_BYTES, at = addr;
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, FETCH_TIMEOUT_S * 1000);
	struct run run;
	int ret;

	mm_lock(mm);
	ret = pay_fetch(mm, addr, nr_pages, err);
	for (; !ret && at < end && next_lacking(mm, at, end, &run); at = run_end(&run)) {
		ret = wanted_add(&mm->wanted, run.addr, run.nr_pages, err) ||
		      mm_request(mm, run.addr, run.nr_pages, err) ? -1 : 0;
	}
	while (!ret && next_lacking(mm, addr, end, &run)) {
		if (mm->failed)
			ret = error_set(err, CODE_ABORTED, NULL, "the migration was given up");
		else if (pthread_cond_timedwait(&mm->changed, &mm->lock, &until))
			ret = error_set(err, CODE_NETWORK, NULL,
					"the source did not send the page at 0x%lx within %d s",
					run.addr, FETCH_TIMEOUT_S);
	}
	if (!ret)
		ret = mirror_read(&mm->mirror, addr, nr_pages, buf, err);
	/* of all locked memory there would be two copies until the images are complete */
	if (!ret)
		mirror_punch(&mm->mirror, addr, nr_pages);
	mm->counts.fetch_ns += clock_now_ns() - begin;
	mm_unlock(mm);
	return ret;
}
