// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "dest/store.h"

#define WINDOW_ALIGN	(1UL << 30)

int store_open(struct store *store, struct error *err)
{
	memset(store, 0, sizeof(*store));
	pthread_rwlock_init(&store->map_lock, NULL);
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

static void unmap_windows(struct store_window *windows, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		munmap(windows[i].base, windows[i].end - windows[i].start);
	free(windows);
}

void store_close(struct store *store)
{
	if (store->fd < 0)
		return;
	unmap_windows(store->windows, store->nr_windows);
	free(store->ranges);
	page_set_destroy(&store->have);
	pthread_rwlock_destroy(&store->map_lock);
	close(store->fd);
	store->fd = -1;
}

/* Aligned spans of the ranges, those that touch made one; a NULL base each. */
static size_t plan_windows(const struct store_range *ranges, size_t nr,
			   struct store_window *windows)
{
	size_t used = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t start = ranges[i].start & ~(WINDOW_ALIGN - 1);
		uint64_t end = (ranges[i].end + WINDOW_ALIGN - 1) & ~(WINDOW_ALIGN - 1);

		if (used && start <= windows[used - 1].end) {
			if (end > windows[used - 1].end)
				windows[used - 1].end = end;
			continue;
		}
		windows[used++] = (struct store_window){ .start = start, .end = end };
	}
	return used;
}

static bool same_windows(const struct store *store, const struct store_window *windows, size_t nr)
{
	if (nr != store->nr_windows)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (windows[i].start != store->windows[i].start ||
		    windows[i].end != store->windows[i].end)
			return false;
	return true;
}

static int map_windows(int fd, struct store_window *windows, size_t nr, struct error *err)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t bytes = windows[i].end - windows[i].start;
		void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
				  fd, windows[i].start);

		if (base == MAP_FAILED) {
			error_errno(err, CODE_INTERNAL, NULL,
				    "cannot map %lu MiB of the mirror at 0x%lx", bytes >> 20,
				    windows[i].start);
			while (i--)
				munmap(windows[i].base, windows[i].end - windows[i].start);
			return -1;
		}
		windows[i].base = base;
	}
	return 0;
}

int store_announce(struct store *store, const struct store_range *ranges, size_t nr,
		   struct error *err)
{
	struct store_range *copy = calloc(nr + 1, sizeof(*copy));
	struct store_window *windows = calloc(nr + 1, sizeof(*windows));
	size_t nr_windows;
	int ret = -1;

	if (!copy || !windows) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for %zu mappings", nr);
		goto out;
	}
	if (nr)
		memcpy(copy, ranges, nr * sizeof(*copy));
	nr_windows = plan_windows(ranges, nr, windows);

	pthread_rwlock_wrlock(&store->map_lock);
	if (!same_windows(store, windows, nr_windows)) {
		if (map_windows(store->fd, windows, nr_windows, err))
			goto unlock;
		unmap_windows(store->windows, store->nr_windows);
		store->windows = windows;
		store->nr_windows = nr_windows;
		windows = NULL;
	}
	free(store->ranges);
	store->ranges = copy;
	store->nr_ranges = nr;
	copy = NULL;
	ret = 0;
unlock:
	pthread_rwlock_unlock(&store->map_lock);
out:
	free(windows);
	free(copy);
	return ret;
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

void *store_at(const struct store *store, uint64_t addr, uint64_t nr_pages)
{
	uint64_t end = addr + nr_pages * PAGE_BYTES;

	for (size_t i = 0; i < store->nr_windows; i++) {
		const struct store_window *window = &store->windows[i];

		if (addr >= window->start && end <= window->end)
			return window->base + (addr - window->start);
	}
	return NULL;
}

void store_punch(struct store *store, uint64_t addr, uint64_t nr_pages)
{
	page_set_remove(&store->have, addr, nr_pages);
	/* a failure costs memory only: what counts is @have */
	fallocate(store->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, addr,
		  nr_pages * PAGE_BYTES);
}

int store_write(struct store *store, uint64_t addr, uint64_t nr_pages, const void *data,
		struct error *err)
{
	uint64_t bytes = nr_pages * PAGE_BYTES, done = 0;

	while (done < bytes) {
		ssize_t n = pwrite(store->fd, (const uint8_t *)data + done, bytes - done,
				   addr + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(err, CODE_INTERNAL, "free some memory",
					   "cannot write %lu pages into the mirror", nr_pages);
		done += n;
	}
	page_set_add(&store->have, addr, nr_pages);
	return 0;
}

int store_read(const struct store *store, uint64_t addr, uint64_t nr_pages, void *buf,
	       struct error *err)
{
	uint64_t bytes = nr_pages * PAGE_BYTES, done = 0;

	while (done < bytes) {
		ssize_t n = pread(store->fd, (uint8_t *)buf + done, bytes - done, addr + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(err, CODE_INTERNAL, NULL,
					   "cannot read %lu pages of the mirror", nr_pages);
		done += n;
	}
	return 0;
}
