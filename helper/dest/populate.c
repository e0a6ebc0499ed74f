// SPDX-License-Identifier: GPL-2.0
/*
 * Installs what the mirror has, in runs that a fault can wait for.
 */
#include <errno.h>
#include <unistd.h>
#include "dest/memory.h"
#include "dest/populate.h"
#include "pages/sets.h"

#define POPULATE_PAGES	256	/* 1 MiB: what a fault may have to wait for */
#define AGAIN_US	200
#define ASIDE_US	20

/* First run of @space from its cursor on that the mirror can give. */
static bool next_installable(const struct memory *mem, const struct space *space,
			     struct run *run)
{
	uint64_t addr = space->cursor;
	struct run have;

	while (page_set_next(&space->todo, addr, USER_END, POPULATE_PAGES, run)) {
		uint64_t origin = space_origin(space, run->addr, &run->nr_pages);
		uint64_t end = origin + run->nr_pages * PAGE_BYTES;

		if (page_set_next(&mem->store.have, origin, end, 0, &have)) {
			run->addr += have.addr - origin;
			run->nr_pages = have.nr_pages;
			return true;
		}
		addr = run_end(run);
	}
	return false;
}

/* The faults among these events that have to wait are the fault thread's: it may be asleep. */
static enum step read_events(struct memory *mem, struct space *space, struct error *err)
{
	int ret = memory_events(mem, space, err);

	if (mem->retry)
		memory_kick(mem);
	return ret ? STEP_FAILED : STEP_AGAIN;
}

static enum step step_space(struct memory *mem, struct space *space, struct error *err)
{
	struct run run;

	if (!next_installable(mem, space, &run)) {
		if (!space->cursor)
			return STEP_IDLE;
		space->cursor = 0;
		return STEP_DID;
	}
	space->cursor = run.addr;
	switch (memory_from_store(mem, space, run.addr, run.nr_pages)) {
	case INSTALL_OK:
		break;
	case INSTALL_GONE:
		memory_bury(mem, space);
		break;
	case INSTALL_AGAIN:
		return read_events(mem, space, err);
	case INSTALL_FAILED:
		error_errno(err, CODE_INTERNAL, NULL, "cannot install %lu pages at 0x%lx",
			    run.nr_pages, run.addr);
		return STEP_FAILED;
	}
	return STEP_DID;
}

enum step memory_step(struct memory *mem, struct error *err)
{
	enum step ret = STEP_IDLE;

	for (size_t i = 0; i < mem->nr_spaces && ret == STEP_IDLE; i++)
		if (!mem->spaces[i]->gone && mem->spaces[i]->uffd >= 0)
			ret = step_space(mem, mem->spaces[i], err);
	if (ret == STEP_IDLE)
		mem->work = false;
	if (ret == STEP_DID && memory_done(mem))
		pthread_cond_broadcast(&mem->changed);
	return ret;
}

int populate_run(struct memory *mem, struct error *err)
{
	enum step step = STEP_IDLE;
	bool stop = false;

	while (step != STEP_FAILED && !stop) {
		memory_lock(mem);
		/* a failure may be a link that was lost after COMMIT had come: what is here is installed */
		while (!mem->work && !mem->stop)
			pthread_cond_wait(&mem->changed, &mem->lock);
		stop = mem->stop;
		if (!stop)
			step = memory_step(mem, err);
		memory_unlock(mem);
		/* a mutex is not fair: without a pause who waits would hardly ever get it */
		if (step == STEP_AGAIN)
			usleep(AGAIN_US);
		else if (atomic_load(&mem->urgent))
			usleep(ASIDE_US);
	}
	return step == STEP_FAILED ? -1 : 0;
}

void populate_stop(struct memory *mem)
{
	memory_lock(mem);
	mem->stop = true;
	pthread_cond_broadcast(&mem->changed);
	memory_unlock(mem);
}
