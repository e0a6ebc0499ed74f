// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/io.h"
#include "dest/store.h"

#define WINDOW_ALIGN	(1UL << 30)
#define PUNCHED_MAX	16384	/* 64 MiB of page tables, where each page had its own */

int store_open(struct store *store, struct error *err)
{
	memset(store, 0, sizeof(*store));
	pthread_mutex_init(&store->map_lock, NULL);
	store->fd = memfd_create("migrate-mirror", MFD_CLOEXEC);
	if (store->fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a memfd");
	if (ftruncate(store->fd, USER_END)) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot size the mirror's memfd");
		goto close_fd;
	}
	if (page_set_init(&store->have)) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot make a page set");
		goto close_fd;
	}
	return 0;

close_fd:
	close(store->fd);
	store->fd = -1;
	return -1;
}

/* Lock held. */
static void put_windows(struct store_windows *windows)
{
	if (!windows || --windows->refs)
		return;
	for (size_t i = 0; i < windows->nr; i++)
		munmap(windows->window[i].base, windows->window[i].end - windows->window[i].start);
	free(windows);
}

void store_close(struct store *store)
{
	if (store->fd < 0)
		return;
	put_windows(store->windows);
	free(store->ranges);
	page_set_destroy(&store->have);
	pthread_mutex_destroy(&store->map_lock);
	close(store->fd);
	store->fd = -1;
}

/* Aligned spans of the ranges, those that touch made one; a NULL base each. */
static struct store_windows *plan_windows(const struct store_range *ranges, size_t nr)
{
	struct store_windows *windows;
	struct store_window *last;

	windows = calloc(1, sizeof(*windows) + nr * sizeof(*windows->window));
	if (!windows)
		return NULL;
	windows->refs = 1;
	for (size_t i = 0; i < nr; i++) {
		uint64_t start = ranges[i].start & ~(WINDOW_ALIGN - 1);
		uint64_t end = (ranges[i].end + WINDOW_ALIGN - 1) & ~(WINDOW_ALIGN - 1);

		last = windows->nr ? &windows->window[windows->nr - 1] : NULL;
		if (!last || start > last->end)
			windows->window[windows->nr++] = (struct store_window){ start, end, NULL };
		else if (end > last->end)
			last->end = end;
	}
	return windows;
}

static bool same_windows(const struct store_windows *a, const struct store_windows *b)
{
	bool same = a && a->nr == b->nr;

	for (size_t i = 0; same && i < a->nr; i++)
		same = a->window[i].start == b->window[i].start &&
		       a->window[i].end == b->window[i].end;
	return same;
}

static int map_windows(int fd, struct store_windows *windows, struct error *err)
{
	for (size_t i = 0; i < windows->nr; i++) {
		struct store_window *window = &windows->window[i];
		uint64_t bytes = window->end - window->start;
		void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
				  fd, window->start);

		if (base == MAP_FAILED) {
			windows->nr = i;
			return error_errno(err, CODE_INTERNAL, NULL,
					   "cannot map %lu MiB of the mirror at 0x%lx",
					   bytes >> 20, window->start);
		}
		window->base = base;
	}
	return 0;
}

/* Lock held. Takes over @windows, whatever happens. */
static int change_windows(struct store *store, struct store_windows *windows, struct error *err)
{
	if (same_windows(store->windows, windows)) {
		free(windows);
		return 0;
	}
	if (map_windows(store->fd, windows, err)) {
		put_windows(windows);
		return -1;
	}
	put_windows(store->windows);
	store->windows = windows;
	atomic_store(&store->punched, 0);
	return 0;
}

/*
 * Lock held. A page that is punched leaves its page tables, which no budget counts, until the
 * window is unmapped. Without memory for new windows the old ones do.
 */
static void renew_windows(struct store *store)
{
	size_t bytes = sizeof(*store->windows) +
		       store->windows->nr * sizeof(*store->windows->window);
	struct store_windows *fresh = malloc(bytes);

	if (!fresh)
		return;
	memcpy(fresh, store->windows, bytes);
	fresh->refs = 1;
	if (map_windows(store->fd, fresh, &(struct error){ 0 })) {
		put_windows(fresh);
		return;
	}
	put_windows(store->windows);
	store->windows = fresh;
	atomic_store(&store->punched, 0);
}

int store_announce(struct store *store, const struct store_range *ranges, size_t nr,
		   struct error *err)
{
	struct store_range *copy = calloc(nr + 1, sizeof(*copy));
	struct store_windows *windows = plan_windows(ranges, nr);
	int ret;

	if (!copy || !windows) {
		free(copy);
		free(windows);
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for %zu mappings", nr);
	}
	if (nr)
		memcpy(copy, ranges, nr * sizeof(*copy));
	pthread_mutex_lock(&store->map_lock);
	ret = change_windows(store, windows, err);
	if (!ret) {
		struct store_range *old = store->ranges;

		store->ranges = copy;
		store->nr_ranges = nr;
		copy = old;
	}
	pthread_mutex_unlock(&store->map_lock);
	free(copy);
	return ret;
}

struct store_windows *store_windows_get(struct store *store)
{
	struct store_windows *windows;

	pthread_mutex_lock(&store->map_lock);
	if (store->windows && atomic_load(&store->punched) > PUNCHED_MAX)
		renew_windows(store);
	windows = store->windows;
	if (windows)
		windows->refs++;
	pthread_mutex_unlock(&store->map_lock);
	return windows;
}

void store_windows_put(struct store *store, struct store_windows *windows)
{
	pthread_mutex_lock(&store->map_lock);
	put_windows(windows);
	pthread_mutex_unlock(&store->map_lock);
}

bool store_announced(const struct store *store, uint64_t addr, uint64_t nr_pages)
{
	uint64_t end = addr + nr_pages * PAGE_BYTES;
	size_t low = 0, high = store->nr_ranges;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (store->ranges[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	/* a run may go on from one mapping into the next one */
	for (; low < store->nr_ranges && store->ranges[low].start <= addr; low++) {
		addr = store->ranges[low].end;
		if (addr >= end)
			return true;
	}
	return false;
}

void *store_windows_at(const struct store_windows *windows, uint64_t addr, uint64_t nr_pages)
{
	uint64_t end = addr + nr_pages * PAGE_BYTES;

	for (size_t i = 0; windows && i < windows->nr; i++) {
		const struct store_window *window = &windows->window[i];

		if (addr >= window->start && end <= window->end)
			return window->base + (addr - window->start);
	}
	return NULL;
}

void *store_at(const struct store *store, uint64_t addr, uint64_t nr_pages)
{
	return store_windows_at(store->windows, addr, nr_pages);
}

int store_add(struct store *store, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	uint64_t books = page_set_cost(&store->have, addr, nr_pages), had = store->have.nr;

	if (budget_take(store->budget, BUDGET_BOOKS, books, err))
		return -1;
	page_set_add(&store->have, addr, nr_pages);
	return budget_take(store->budget, BUDGET_MIRROR, (store->have.nr - had) * PAGE_BYTES, err);
}

void store_punch(struct store *store, uint64_t addr, uint64_t nr_pages)
{
	uint64_t had = store->have.nr;

	page_set_remove(&store->have, addr, nr_pages);
	atomic_fetch_add(&store->punched, had - store->have.nr);
	budget_give(store->budget, BUDGET_MIRROR, (had - store->have.nr) * PAGE_BYTES);
	/* a failure costs memory only: what counts is @have */
	fallocate(store->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, addr,
		  nr_pages * PAGE_BYTES);
}

int store_write(struct store *store, uint64_t addr, uint64_t nr_pages, const void *data,
		struct error *err)
{
	if (io_pwrite_all(store->fd, data, nr_pages * PAGE_BYTES, addr))
		return error_errno(err, CODE_INTERNAL, "free some memory",
				   "cannot write %lu pages into the mirror", nr_pages);
	return store_add(store, addr, nr_pages, err);
}

int store_read(const struct store *store, uint64_t addr, uint64_t nr_pages, void *buf,
	       struct error *err)
{
	size_t bytes = nr_pages * PAGE_BYTES, done;

	if (io_pread_all(store->fd, buf, bytes, addr, &done))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot read %lu pages of the mirror",
				   nr_pages);
	return done == bytes ? 0 : error_set(err, CODE_INTERNAL, NULL,
					     "the mirror ends before 0x%lx", addr + bytes);
}
