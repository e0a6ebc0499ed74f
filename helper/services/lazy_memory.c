// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "criu/pagemap.h"
#include "pages/sets.h"
#include "pages/space_events.h"
#include "services/lazy_memory.h"

#define TRIES	4

static int read_pagemaps(struct lazy_memory *memory, int images_dir_fd, struct error *err)
{
	struct page_chain *images = &memory->images;

	if (page_chain_open_task(images, images_dir_fd, memory->pid, err))
		return -1;
	return memory->link ? 0 :
	       page_chain_climb(images, err) || page_chain_check_lacking(images, err) ? -1 : 0;
}

struct lazy_memory *lazy_memory_new(int images_dir_fd, pid_t pid, struct lazy_link *link, struct error *err)
{
	struct lazy_memory *memory = calloc(1, sizeof(*memory));

	if (!memory) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for a task");
		return NULL;
	}
	memory->pid = pid;
	memory->link = link;
	memory->last_held = &memory->held;
	page_set_init(&memory->asked);
	memory->buf = aligned_alloc(PAGE_BYTES, LAZY_FILE_PAGES * PAGE_BYTES);
	if (!memory->buf)
		error_set(err, CODE_INTERNAL, NULL, "no memory for pages");
	else if (!read_pagemaps(memory, images_dir_fd, err))
		return memory;
	lazy_memory_free(memory);
	return NULL;
}

int lazy_memory_add(struct lazy_memory *memory, struct space_set *set, struct error *err)
{
	struct space_set **sets = reallocarray(memory->sets, memory->nr_sets + 1, sizeof(*sets));

	if (!sets)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for a task");
	memory->sets = sets;
	sets[memory->nr_sets++] = set;
	return 0;
}

void lazy_memory_remove(struct lazy_memory *memory, struct space_set *set)
{
	for (size_t i = 0; i < memory->nr_sets; i++)
		if (memory->sets[i] == set) {
			memory->sets[i] = memory->sets[--memory->nr_sets];
			return;
		}
}

/** struct arrival - pages from @addr at the source on */
struct arrival {
	struct lazy_memory *memory;
	uint64_t addr;
	const uint8_t *pages;
	bool again;
	int os_errno;
};

static bool install_run(struct space *space, uint64_t addr, uint64_t origin, uint64_t nr_pages, void *ctx)
{
	struct arrival *arrival = ctx;
	uint64_t done;
	enum install ret = space_install(space, addr, nr_pages, arrival->pages + (origin - arrival->addr), &done);

	arrival->memory->counts.installed += done;
	if (ret == INSTALL_AGAIN)
		arrival->again = true;
	else if (ret == INSTALL_FAILED)
		arrival->os_errno = errno;
	return ret == INSTALL_OK;
}

/* Events that were pending are read, and the space is looked at anew. Return: false while events are pending */
static bool install_in(struct arrival *arrival, struct space_set *set, struct space *space, uint64_t nr_pages,
		       struct error *err)
{
	for (int i = 0; i < TRIES; i++) {
		if (space->gone || space->lost)
			return true;
		arrival->again = false;
		arrival->os_errno = 0;
		space_each_lacking(space, arrival->addr, nr_pages, install_run, arrival);
		if (space->gone)
			set->ops->bury(set, space);
		if (!arrival->again)
			return true;
		space_events_read(set, space, err);
	}
	return false;
}

/* Return: true when each restored task that lacked the pages has them */
static bool install_all(struct lazy_memory *memory, uint64_t addr, uint64_t nr_pages, const void *pages,
			struct error *err)
{
	struct arrival arrival = { .memory = memory, .addr = addr, .pages = pages };
	bool all = true;

	for (size_t i = 0; i < memory->nr_sets; i++) {
		struct space_set *set = memory->sets[i];

		/* a space that is born meanwhile comes last, and is seen */
		for (size_t j = 0; j < set->nr; j++) {
			all &= install_in(&arrival, set, set->list[j], nr_pages, err);
			if (arrival.os_errno) {
				errno = arrival.os_errno;
				error_errno(err, CODE_INTERNAL, NULL, "cannot install a page of task %d at %#" PRIx64,
					    memory->pid, addr);
			}
		}
	}
	return all;
}

static int hold(struct lazy_memory *memory, uint64_t addr, uint64_t nr_pages, const void *pages, struct error *err)
{
	struct lazy_held *held = malloc(sizeof(*held) + nr_pages * PAGE_BYTES);

	if (!held) {
		/* they are asked for again when a task faults, or in their turn */
		page_set_remove(&memory->asked, addr, nr_pages);
		return error_set(err, CODE_INTERNAL, NULL, "no memory for pages that came");
	}
	held->next = NULL;
	held->addr = addr;
	held->nr_pages = nr_pages;
	memcpy(held->pages, pages, nr_pages * PAGE_BYTES);
	*memory->last_held = held;
	memory->last_held = &held->next;
	return 0;
}

int lazy_memory_came(void *owner, uint64_t addr, uint64_t nr_pages, const void *pages, struct error *err)
{
	struct lazy_memory *memory = owner;
	struct error failed = { 0 };

	if (!install_all(memory, addr, nr_pages, pages, &failed) && !error_is_set(&failed))
		return hold(memory, addr, nr_pages, pages, err);
	page_set_remove(&memory->asked, addr, nr_pages);
	if (error_is_set(&failed))
		*err = failed;
	return error_is_set(&failed) ? -1 : 0;
}

int lazy_memory_retry(struct lazy_memory *memory, struct error *err)
{
	struct lazy_held *held = memory->held;
	int ret = 0;

	memory->held = NULL;
	memory->last_held = &memory->held;
	while (held) {
		struct lazy_held *next = held->next;

		if (lazy_memory_came(memory, held->addr, held->nr_pages, held->pages, err))
			ret = -1;
		free(held);
		held = next;
	}
	return ret ? ret : memory->held != NULL;
}

bool lazy_memory_next(const struct lazy_memory *memory, const struct space *space, uint64_t addr, uint64_t end,
		      uint64_t max_pages, struct run *run, uint64_t *origin)
{
	struct run asked;

	while (page_set_next(&space->todo, addr, end, max_pages, run)) {
		*origin = space_origin(space, run->addr, &run->nr_pages);
		if (!page_set_next(&memory->asked, *origin, *origin + run->nr_pages * PAGE_BYTES, 0, &asked))
			return true;
		if (asked.addr > *origin) {
			run->nr_pages = (asked.addr - *origin) / PAGE_BYTES;
			return true;
		}
		addr = run->addr + asked.nr_pages * PAGE_BYTES;
	}
	return false;
}

/*
 * The pages around @addr within a block of @nr_pages: blocks leave no small pieces behind, each of which the page server
 * takes nearly as long for.
 */
static bool around(const struct lazy_memory *memory, const struct space *space, uint64_t addr, uint64_t nr_pages,
		   struct run *run, uint64_t *origin)
{
	uint64_t bytes = nr_pages * PAGE_BYTES, at = addr / bytes * bytes, end = at + bytes;

	while (lazy_memory_next(memory, space, at, end, nr_pages, run, origin) && run->addr <= addr) {
		if (run_end(run) > addr)
			return true;
		at = run_end(run);
	}
	return false;
}

static bool from(const struct lazy_memory *memory, const struct space *space, uint64_t addr, uint64_t nr_pages,
		 struct run *run, uint64_t *origin)
{
	return lazy_memory_next(memory, space, addr, addr + nr_pages * PAGE_BYTES, nr_pages, run, origin) &&
	       run->addr == addr;
}

static enum install ask(struct lazy_memory *memory, const struct run *run, uint64_t origin, struct error *err)
{
	/* without a connection the fault waits in its space, and is looked at again when there is one */
	if (!lazy_link_is_open(memory->link))
		return INSTALL_AGAIN;
	if (page_set_add(&memory->asked, origin, run->nr_pages, err))
		return INSTALL_FAILED;
	if (!lazy_link_ask(memory->link, memory, memory->pid, origin, run->nr_pages, err))
		return INSTALL_AGAIN;
	page_set_remove(&memory->asked, origin, run->nr_pages);
	return INSTALL_FAILED;
}

static const struct page_level *top_of(const struct lazy_memory *memory)
{
	return &memory->images.list->map;
}

/* Return: how many pages of it the restore leaves out */
static uint64_t left_out(const struct page_extent *extent)
{
	return extent->flags & PAGEMAP_LAZY ? (extent->end - extent->addr) / PAGE_BYTES : 0;
}

int lazy_memory_ask_any(struct lazy_memory *memory, struct error *err)
{
	for (size_t i = 0; i < top_of(memory)->nr; i++) {
		const struct page_extent *extent = &top_of(memory)->extents[i];
		const struct run run = { .addr = extent->addr, .nr_pages = 1 };

		if (left_out(extent))
			return ask(memory, &run, run.addr, err) == INSTALL_FAILED ? -1 : 1;
	}
	return 0;
}

/* The page with this number of those that the restore leaves out. */
static struct lazy_page page_at(const struct lazy_memory *memory, uint64_t number)
{
	for (; memory; memory = memory->next)
		for (size_t i = 0; i < top_of(memory)->nr; i++) {
			const struct page_extent *extent = &top_of(memory)->extents[i];

			if (number < left_out(extent))
				return (struct lazy_page){ memory->pid, extent->addr + number * PAGE_BYTES };
			number -= left_out(extent);
		}
	return (struct lazy_page){ 0 };
}

int lazy_memory_known(const struct lazy_memory *memory, uint64_t turn, struct lazy_page known[2], struct error *err)
{
	uint64_t nr = 0, first;

	for (const struct lazy_memory *one = memory; one; one = one->next)
		for (size_t i = 0; i < top_of(one)->nr; i++)
			nr += left_out(&top_of(one)->extents[i]);
	if (nr < 2)
		return error_set(err, CODE_CRIU, NULL, "the images leave out too few pages to find the place in a connection");
	first = turn % nr;
	known[0] = page_at(memory, first);
	known[1] = page_at(memory, (first + 1 + turn / nr % (nr - 1)) % nr);
	return 0;
}

static enum install read_images(struct lazy_memory *memory, struct space *space, const struct run *run,
				uint64_t origin, struct error *err)
{
	uint64_t nr_pages = run->nr_pages < LAZY_FILE_PAGES ? run->nr_pages : LAZY_FILE_PAGES, done;
	struct page_place place;
	enum install result;
	int ret;

	if (!page_chain_find(&memory->images, origin, &nr_pages, &place)) {
		error_set(err, CODE_CRIU, NULL, "the images do not have the page at %#" PRIx64, origin);
		return INSTALL_FAILED;
	}
	ret = page_chain_read(&memory->images, &place, &nr_pages, memory->buf, err);
	if (ret <= 0) {
		memory->late |= !ret;
		return ret ? INSTALL_FAILED : INSTALL_AGAIN;
	}
	result = space_install(space, run->addr, nr_pages, memory->buf, &done);
	memory->counts.installed += done;
	if (result == INSTALL_AGAIN && !done)
		/* events are pending: the owner comes back when they were read */
		space->set->retry = true;
	if (result == INSTALL_FAILED)
		error_errno(err, CODE_INTERNAL, NULL, "cannot install a page of task %d at %#" PRIx64,
			    memory->pid, run->addr);
	return result;
}

enum install lazy_memory_want(struct lazy_memory *memory, struct space *space, uint64_t addr,
			      uint64_t nr_pages, bool fault, struct error *err)
{
	uint64_t origin = 0;
	struct run run;
	bool found;

	/* of an image the page itself is read first */
	found = (fault && memory->link ? around : from)(memory, space, addr, nr_pages, &run, &origin);
	if (!found)
		return INSTALL_AGAIN;
	*(fault ? &memory->counts.fault : &memory->counts.background) += run.nr_pages;
	return memory->link ? ask(memory, &run, origin, err) : read_images(memory, space, &run, origin, err);
}

void lazy_memory_lost(struct lazy_memory *memory)
{
	sets_clear(&memory->asked);
	for (struct lazy_held *held = memory->held; held; held = held->next) {
		struct error ignored = { 0 };

		/* without memory for it the page may be asked for once more */
		page_set_add(&memory->asked, held->addr, held->nr_pages, &ignored);
	}
	for (size_t i = 0; i < memory->nr_sets; i++)
		memory->sets[i]->retry = true;
}

void lazy_memory_free(struct lazy_memory *memory)
{
	while (memory->held) {
		struct lazy_held *held = memory->held;

		memory->held = held->next;
		free(held);
	}
	page_set_destroy(&memory->asked);
	page_chain_free(&memory->images);
	free(memory->sets);
	free(memory->buf);
	free(memory);
}
