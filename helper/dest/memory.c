// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "dest/memory.h"
#include "pages/sets.h"

#define FETCH_TIMEOUT_S		10
#define REQUEST_PAGES		256	/* most pages in one request after PUSHED */

static int sets_init(struct memory *mem)
{
	return page_set_init(&mem->populated) || page_set_init(&mem->wanted) ||
	       page_set_init(&mem->asked);
}

int memory_init(struct memory *mem, const struct memory_hooks *hooks, struct error *err)
{
	pthread_condattr_t attr;

	memset(mem, 0, sizeof(*mem));
	mem->hooks = *hooks;
	if (store_open(&mem->store, err))
		return -1;
	if (sets_init(mem))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a page set");
	mem->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mem->kick < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make an eventfd");
	pthread_mutex_init(&mem->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&mem->changed, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

void memory_close_uffd(struct memory *mem, struct space *space)
{
	struct error ignored = { 0 };

	if (space->uffd < 0)
		return;
	/* the keeper's duplicate keeps the file: epoll would go on reporting it */
	mem->hooks.watch(mem->hooks.ctx, space, false, &ignored);
	close(space->uffd);
	space->uffd = -1;
	if (space->handle >= 0)
		mem->hooks.release(mem->hooks.ctx, space->handle);
	space->handle = -1;
}

void memory_close_uffds(struct memory *mem)
{
	memory_lock(mem);
	for (size_t i = 0; i < mem->nr_spaces; i++)
		memory_close_uffd(mem, mem->spaces[i]);
	memory_unlock(mem);
}

void memory_destroy(struct memory *mem)
{
	memory_close_uffds(mem);
	for (size_t i = 0; i < mem->nr_spaces; i++)
		space_free(mem->spaces[i]);
	free(mem->spaces);
	free(mem->requests);
	page_set_destroy(&mem->populated);
	page_set_destroy(&mem->wanted);
	page_set_destroy(&mem->asked);
	store_close(&mem->store);
	close(mem->kick);
	pthread_cond_destroy(&mem->changed);
	pthread_mutex_destroy(&mem->lock);
}

int memory_announce(struct memory *mem, const struct store_range *ranges, size_t nr,
		    struct error *err)
{
	uint64_t addr = 0;
	struct run run;

	if (store_announce(&mem->store, ranges, nr, err))
		return -1;
	memory_lock(mem);
	for (size_t i = 0; i <= nr; i++) {
		uint64_t end = i < nr ? ranges[i].start : USER_END;

		while (page_set_next(&mem->store.have, addr, end, 0, &run)) {
			store_punch(&mem->store, run.addr, run.nr_pages);
			addr = run_end(&run);
		}
		addr = i < nr ? ranges[i].end : USER_END;
	}
	memory_unlock(mem);
	return 0;
}

int memory_add(struct memory *mem, const struct splice_vm_run *runs, uint32_t nr_runs,
	       struct error *err)
{
	int ret = 0;

	memory_lock(mem);
	for (uint32_t i = 0; i < nr_runs && !ret; i++)
		ret = store_add(&mem->store, runs[i].addr, runs[i].nr_pages, err);
	memory_unlock(mem);
	return ret;
}

void memory_drop(struct memory *mem, const struct splice_vm_run *runs, uint32_t nr_runs)
{
	struct run run;

	memory_lock(mem);
	for (uint32_t i = 0; i < nr_runs; i++) {
		uint64_t addr = runs[i].addr;
		uint64_t end = addr + runs[i].nr_pages * PAGE_BYTES;

		/* most of what is dropped was never here: no system call for that */
		while (page_set_next(&mem->store.have, addr, end, 0, &run)) {
			store_punch(&mem->store, run.addr, run.nr_pages);
			addr = run_end(&run);
		}
	}
	memory_unlock(mem);
}

/* A page here will be memory of the program, and may be in @wanted, @asked and a space's @todo. */
static int populate_run(struct memory *mem, const struct splice_vm_run *run, struct error *err)
{
	struct budget *budget = mem->store.budget;
	uint64_t pages = mem->populated.nr + run->nr_pages;

	if (budget_check(budget, BUDGET_MIRROR, pages * PAGE_BYTES, err) ||
	    budget_take(budget, BUDGET_BOOKS,
			4 * page_set_cost(&mem->populated, run->addr, run->nr_pages), err))
		return -1;
	page_set_add(&mem->populated, run->addr, run->nr_pages);
	return 0;
}

int memory_populate(struct memory *mem, const struct splice_vm_run *runs, uint32_t nr_runs,
		    struct error *err)
{
	int ret = 0;

	memory_lock(mem);
	for (uint32_t i = 0; i < nr_runs && !ret; i++)
		ret = populate_run(mem, &runs[i], err);
	memory_unlock(mem);
	return ret;
}

/* Nothing is kept in the mirror but what is in @keep. */
static void trim_store(struct memory *mem, const struct page_set *keep)
{
	uint64_t addr = 0;
	struct run run;

	while (sets_next_only(&mem->store.have, keep, addr, USER_END, 0, &run)) {
		store_punch(&mem->store, run.addr, run.nr_pages);
		addr = run_end(&run);
	}
}

void memory_final(struct memory *mem, uint64_t *have, uint64_t *lack)
{
	memory_lock(mem);
	trim_store(mem, &mem->populated);
	mem->final = true;
	*have = mem->store.have.nr;
	*lack = mem->populated.nr - mem->store.have.nr;
	memory_unlock(mem);
}

void memory_kick(struct memory *mem)
{
	uint64_t one = 1;

	/* it can only fail when it is full, and then it wakes as well */
	if (write(mem->kick, &one, sizeof(one)) < 0)
		return;
}

int memory_request(struct memory *mem, uint64_t origin, uint64_t nr_pages, struct error *err)
{
	uint64_t end = origin + nr_pages * PAGE_BYTES;
	struct run run;

	while (origin < end &&
	       sets_next_only(&mem->wanted, &mem->asked, origin, end, REQUEST_PAGES, &run)) {
		if (mem->nr_requests == mem->cap_requests) {
			size_t cap = mem->cap_requests ? 2 * mem->cap_requests : 64;
			struct run *requests = realloc(mem->requests, cap * sizeof(*requests));

			if (!requests)
				return error_errno(err, CODE_INTERNAL, NULL,
						   "no memory for a request");
			mem->requests = requests;
			mem->cap_requests = cap;
		}
		mem->requests[mem->nr_requests++] = run;
		page_set_add(&mem->asked, run.addr, run.nr_pages);
		origin = run_end(&run);
	}
	memory_kick(mem);
	return 0;
}

/* First run of the range that is not in the mirror. */
static bool next_lacking(const struct memory *mem, uint64_t addr, uint64_t end, struct run *run)
{
	struct run have;

	while (addr < end) {
		if (!page_set_next(&mem->store.have, addr, end, 0, &have))
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

/* Lock held. Fetched pages are written into the images; zeros of the source take room there too. */
static int pay_fetch(struct memory *mem, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	struct budget *budget = mem->store.budget;
	uint64_t books = page_set_cost(&mem->wanted, addr, nr_pages) +
			 page_set_cost(&mem->asked, addr, nr_pages);

	return budget_take(budget, BUDGET_IMAGES, nr_pages * PAGE_BYTES, err) ||
	       budget_take(budget, BUDGET_BOOKS, books, err) ? -1 : 0;
}

int memory_fetch(struct memory *mem, uint64_t addr, uint64_t nr_pages, void *buf,
		 struct error *err)
{
	uint64_t end = addr + nr_pages * PAGE_BYTES, at = addr;
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, FETCH_TIMEOUT_S * 1000);
	struct run run;
	int ret;

	memory_lock(mem);
	ret = pay_fetch(mem, addr, nr_pages, err);
	for (; !ret && at < end && next_lacking(mem, at, end, &run); at = run_end(&run)) {
		page_set_add(&mem->wanted, run.addr, run.nr_pages);
		ret = memory_request(mem, run.addr, run.nr_pages, err);
	}
	while (!ret && next_lacking(mem, addr, end, &run)) {
		if (mem->failed)
			ret = error_set(err, CODE_ABORTED, NULL, "the migration was given up");
		else if (pthread_cond_timedwait(&mem->changed, &mem->lock, &until))
			ret = error_set(err, CODE_NETWORK, NULL,
					"the source did not send the page at 0x%lx within %d s",
					run.addr, FETCH_TIMEOUT_S);
	}
	if (!ret)
		ret = store_read(&mem->store, addr, nr_pages, buf, err);
	memory_unlock(mem);
	return ret;
}

int memory_space_add(struct memory *mem, struct space *space, struct error *err)
{
	struct space **spaces = realloc(mem->spaces, (mem->nr_spaces + 1) * sizeof(*spaces));

	if (!spaces) {
		space_free(space);
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for an address space");
	}
	mem->spaces = spaces;
	mem->spaces[mem->nr_spaces++] = space;
	return 0;
}

int memory_seal(struct memory *mem, const struct page_set *lazy, struct error *err)
{
	struct space *space = space_new(-1, err);
	uint64_t addr = 0;
	struct run run;
	int ret;

	if (!space)
		return -1;
	memory_lock(mem);
	for (; sets_next_both(&mem->populated, lazy, addr, USER_END, 0, &run); addr = run_end(&run))
		page_set_add(&space->todo, run.addr, run.nr_pages);
	trim_store(mem, &space->todo);
	/* what was fetched for the images is of no further interest */
	sets_clear(&mem->wanted);
	sets_clear(&mem->asked);
	for (addr = 0; sets_next_only(&space->todo, &mem->store.have, addr, USER_END, 0, &run);
	     addr = run_end(&run))
		page_set_add(&mem->wanted, run.addr, run.nr_pages);
	mem->counts.image = mem->populated.nr - space->todo.nr;
	space->ready = false;
	ret = memory_space_add(mem, space, err);
	mem->sealed = !ret;
	budget_settle(mem->store.budget);
	memory_unlock(mem);
	return ret;
}
