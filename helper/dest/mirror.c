// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/io.h"
#include "dest/mirror.h"
#include "os/fs_room.h"

#define WINDOW_ALIGN	(1UL << 30)
#define HUGE_ALIGN	(2UL << 20)	/* the smallest huge page */
#define SHM_DIR		"/dev/shm/"
#define TABLE_SHIFT	21	/* addresses under one page table */
/* A lone page has a page table in its window, and the nodes above that table, and those of the file, take another. */
#define TABLE_BYTES	(2 * PAGE_BYTES)
#define PUNCHED_MAX	16384	/* 64 MiB of page tables, where each page had its own */

/**
 * struct mirror_window - part of the memfd mapped here, 1 GiB aligned
 *
 * Larger than what was announced, so that mappings which grow and come and go do
 * not move it, and a program with 65000 mappings needs a handful.
 */
struct mirror_window {
	uint64_t start, end;
	uint8_t *base;
};

/**
 * struct mirror_windows - all windows of one list of mappings; unmapped with the last reference
 * @refs: of the mirror, and of each receiver that has bytes on their way into a window
 */
struct mirror_windows {
	unsigned int refs;
	size_t nr;
	struct mirror_window window[];
};

static void mirror_close_file(struct mirror *mirror);

int mirror_open(struct mirror *mirror, struct error *err)
{
	return mirror_open_as(mirror, "migrate-mirror", 0, err);
}

/* @mirror has its file. */
static int fill(struct mirror *mirror, struct error *err)
{
	if (!ftruncate(mirror->fd, USER_END))
		return 0;
	error_errno(err, CODE_INTERNAL, NULL, "cannot size the mirror's memfd");
	mirror_close_file(mirror);
	return -1;
}

int mirror_open_as(struct mirror *mirror, const char *name, unsigned int flags, struct error *err)
{
	memset(mirror, 0, sizeof(*mirror));
	mirror->huge = flags & MFD_HUGETLB;
	mirror->fd = memfd_create(name, MFD_CLOEXEC | flags);
	if (mirror->fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a memfd");
	return fill(mirror, err);
}

void mirror_path(const struct mirror *mirror, char path[PATH_MAX])
{
	char link[48];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", mirror->fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = 0;
}

bool mirror_path_is_plain(const char *path)
{
	const char *name = path + strlen(SHM_DIR);

	return !strncmp(path, SHM_DIR, strlen(SHM_DIR)) && *name && strcmp(name, ".") &&
	       strcmp(name, "..") && !strchr(name, '/');
}

void mirror_remove_file(const struct mirror *mirror)
{
	char name[PATH_MAX];

	if (!mirror->path)
		return;
	mirror_path(mirror, name);
	if (mirror_path_is_plain(name))
		unlink(name);
}

static void mirror_close_file(struct mirror *mirror)
{
	mirror_remove_file(mirror);
	free(mirror->path);
	mirror->path = NULL;
	close(mirror->fd);
	mirror->fd = -1;
}

/* Files that are not named yet begin so. */
static bool path_is_good(const char *path)
{
	return mirror_path_is_plain(path) && strncmp(path + strlen(SHM_DIR), ".migrate-", 9);
}

int mirror_check_name(const char *path, struct error *err)
{
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) ? 0 :
	       error_set(err, CODE_REFUSED, "remove it there, when no program uses it",
			 "%s is at the destination already", path);
}

int mirror_open_file(struct mirror *mirror, const char *path, struct error *err)
{
	char name[] = SHM_DIR ".migrate-XXXXXX";
	struct statfs fs;

	memset(mirror, 0, sizeof(*mirror));
	mirror->fd = -1;
	if (!path_is_good(path))
		return error_set(err, CODE_PEER, NULL, "the source announced a file of another directory");
	if (mirror_check_name(path, err))
		return -1;
	if (statfs(SHM_DIR, &fs) || fs.f_type != TMPFS_MAGIC)
		return error_set(err, CODE_REFUSED, NULL, "/dev/shm of the destination is no tmpfs");
	mirror->path = strdup(path);
	mirror->fd = mkostemp(name, O_CLOEXEC);
	if (!mirror->path || mirror->fd < 0) {
		free(mirror->path);
		mirror->path = NULL;
		return error_errno(err, CODE_NOT_READY, NULL, "cannot make a file in " SHM_DIR);
	}
	return fill(mirror, err);
}

int mirror_open_tmpfs(struct mirror *mirror, int dir_fd, struct error *err)
{
	memset(mirror, 0, sizeof(*mirror));
	mirror->in_tmpfs = true;
	/* what is read of it, to compare it, is no access */
	mirror->fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_NOATIME | O_CLOEXEC, 0600);
	if (mirror->fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a file in a tmpfs");
	return fill(mirror, err);
}

int mirror_check_room(const struct mirror *mirror, uint64_t nr_pages, struct error *err)
{
	uint64_t free;

	return !mirror->path || fs_has_room(mirror->fd, nr_pages * PAGE_BYTES, &free) ? 0 :
	       error_set(err, CODE_NOT_READY, "mount it with a larger size= at the destination",
			 "%s has %" PRIu64 " MiB left, which others may need", SHM_DIR, free >> 20);
}

int mirror_name(struct mirror *mirror, struct error *err)
{
	char name[PATH_MAX];

	mirror_path(mirror, name);
	if (mirror_path_is_plain(name) &&
	    !renameat2(AT_FDCWD, name, AT_FDCWD, mirror->path, RENAME_NOREPLACE))
		return 0;
	return error_errno(err, CODE_REFUSED, NULL, "cannot name the file %s", mirror->path);
}

void mirror_windows_put(struct mirror_windows *windows)
{
	if (!windows || --windows->refs)
		return;
	for (size_t i = 0; i < windows->nr; i++)
		munmap(windows->window[i].base, windows->window[i].end - windows->window[i].start);
	free(windows);
}

void mirror_unmap(struct mirror *mirror)
{
	mirror_windows_put(mirror->windows);
	mirror->windows = NULL;
}

void mirror_close(struct mirror *mirror)
{
	if (mirror->fd < 0)
		return;
	mirror_unmap(mirror);
	free(mirror->ranges);
	mirror->ranges = NULL;
	mirror->nr_ranges = 0;
	budget_give(mirror->budget, BUDGET_MIRROR, mirror->have.nr * PAGE_BYTES);
	budget_give(mirror->budget, BUDGET_BOOKS, mirror->books);
	mirror->books = 0;
	page_set_destroy(&mirror->have);
	page_set_destroy(&mirror->tables);
	mirror_close_file(mirror);
}

/* A window of huge pages reserves all of them: no more than the object has. */
static uint64_t align_of(const struct mirror *mirror)
{
	return mirror->huge ? HUGE_ALIGN : WINDOW_ALIGN;
}

/* Aligned spans of the ranges, those that touch made one; a NULL base each. */
static struct mirror_windows *plan_windows(const struct mirror_range *ranges, size_t nr, uint64_t align)
{
	struct mirror_windows *windows;
	struct mirror_window *last;

	windows = calloc(1, sizeof(*windows) + nr * sizeof(*windows->window));
	if (!windows)
		return NULL;
	windows->refs = 1;
	for (size_t i = 0; i < nr; i++) {
		uint64_t start = ranges[i].start & ~(align - 1);
		uint64_t end = (ranges[i].end + align - 1) & ~(align - 1);

		last = windows->nr ? &windows->window[windows->nr - 1] : NULL;
		if (!last || start > last->end)
			windows->window[windows->nr++] = (struct mirror_window){ start, end, NULL };
		else if (end > last->end)
			last->end = end;
	}
	return windows;
}

static bool same_windows(const struct mirror_windows *a, const struct mirror_windows *b)
{
	bool same = a && a->nr == b->nr;

	for (size_t i = 0; same && i < a->nr; i++)
		same = a->window[i].start == b->window[i].start &&
		       a->window[i].end == b->window[i].end;
	return same;
}

/*
 * Of huge pages each window reserves its own: one page of 4 KiB takes a whole one, of the machine's pool,
 * which no budget counts.
 */
static int map_windows(const struct mirror *mirror, struct mirror_windows *windows, struct error *err)
{
	int flags = MAP_SHARED | (mirror->huge ? 0 : MAP_NORESERVE);

	for (size_t i = 0; i < windows->nr; i++) {
		struct mirror_window *window = &windows->window[i];
		uint64_t bytes = window->end - window->start;
		void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, mirror->fd,
				  window->start);

		if (base == MAP_FAILED) {
			windows->nr = i;
			return error_errno(err, CODE_INTERNAL,
					   mirror->huge ? "raise nr_hugepages at the destination" : NULL,
					   "cannot map %lu MiB of the mirror at 0x%lx",
					   bytes >> 20, window->start);
		}
		window->base = base;
	}
	return 0;
}

/* Takes over @windows, whatever happens. */
static int change_windows(struct mirror *mirror, struct mirror_windows *windows, struct error *err)
{
	if (same_windows(mirror->windows, windows)) {
		free(windows);
		return 0;
	}
	if (map_windows(mirror, windows, err)) {
		mirror_windows_put(windows);
		return -1;
	}
	mirror_windows_put(mirror->windows);
	mirror->windows = windows;
	mirror->punched = 0;
	return 0;
}

int mirror_pay(struct mirror *mirror, uint64_t bytes, struct error *err)
{
	if (budget_take(mirror->budget, BUDGET_BOOKS, bytes, err))
		return -1;
	mirror->books += bytes;
	return 0;
}

static void pay_back(struct mirror *mirror, uint64_t bytes)
{
	budget_give(mirror->budget, BUDGET_BOOKS, bytes);
	mirror->books -= bytes;
}

/* In @tables: the page that stands for the 2 MiB with @addr */
static uint64_t table_of(uint64_t addr)
{
	return addr >> TABLE_SHIFT << PAGE_SHIFT;
}

/* A source that names single pages far apart would take as much again, and more. */
static int pay_tables(struct mirror *mirror, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	uint64_t from = table_of(addr), last = table_of(addr + (nr_pages - 1) * PAGE_BYTES);
	uint64_t nr = (last - from) / PAGE_BYTES + 1, had = mirror->tables.nr;

	if (mirror_pay(mirror, page_set_cost(&mirror->tables, from, nr), err) ||
	    page_set_add(&mirror->tables, from, nr, err))
		return -1;
	return mirror_pay(mirror, (mirror->tables.nr - had) * TABLE_BYTES, err);
}

/* The windows are new: there are tables for what is in @have alone, or will be when it is read. */
static void forget_tables(struct mirror *mirror)
{
	uint64_t had = mirror->tables.nr;
	struct run run, page;

	for (uint64_t at = 0; page_set_next(&mirror->tables, at, USER_END, 1, &run); at = run.addr + PAGE_BYTES) {
		uint64_t addr = run.addr >> PAGE_SHIFT << TABLE_SHIFT;

		if (!page_set_next(&mirror->have, addr, addr + (1UL << TABLE_SHIFT), 1, &page))
			page_set_remove(&mirror->tables, run.addr, 1);
	}
	pay_back(mirror, (had - mirror->tables.nr) * TABLE_BYTES);
}

/*
 * A page that is punched leaves its page tables until the window is unmapped. Without memory for new windows the
 * old ones do.
 */
static void renew_windows(struct mirror *mirror)
{
	size_t bytes = sizeof(*mirror->windows) +
		       mirror->windows->nr * sizeof(*mirror->windows->window);
	struct mirror_windows *fresh = malloc(bytes);

	if (!fresh)
		return;
	memcpy(fresh, mirror->windows, bytes);
	fresh->refs = 1;
	if (map_windows(mirror, fresh, &(struct error){ 0 })) {
		mirror_windows_put(fresh);
		return;
	}
	mirror_windows_put(mirror->windows);
	mirror->windows = fresh;
	mirror->punched = 0;
	forget_tables(mirror);
}

/* Of a list of @nr mappings; the windows may be as many. */
static uint64_t list_cost(size_t nr)
{
	return nr * (sizeof(struct mirror_range) + sizeof(struct mirror_window));
}

int mirror_announce(struct mirror *mirror, const struct mirror_range *ranges, size_t nr,
		   struct error *err)
{
	struct mirror_range *copy, *old = mirror->ranges;
	struct mirror_windows *windows;
	size_t nr_old = mirror->nr_ranges;

	if (mirror_pay(mirror, list_cost(nr), err))
		return -1;
	copy = calloc(nr + 1, sizeof(*copy));
	windows = plan_windows(ranges, nr, align_of(mirror));
	if (!copy || !windows) {
		free(windows);
		error_errno(err, CODE_INTERNAL, NULL, "no memory for %zu mappings", nr);
		goto undo;
	}
	if (nr)
		memcpy(copy, ranges, nr * sizeof(*copy));
	if (change_windows(mirror, windows, err))
		goto undo;
	mirror->ranges = copy;
	mirror->nr_ranges = nr;
	free(old);
	pay_back(mirror, list_cost(nr_old));
	return 0;

undo:
	free(copy);
	pay_back(mirror, list_cost(nr));
	return -1;
}

struct mirror_windows *mirror_windows_get(struct mirror *mirror)
{
	if (mirror->windows && mirror->punched > PUNCHED_MAX)
		renew_windows(mirror);
	if (mirror->windows)
		mirror->windows->refs++;
	return mirror->windows;
}

bool mirror_announced(const struct mirror *mirror, uint64_t addr, uint64_t nr_pages)
{
	uint64_t end = addr + nr_pages * PAGE_BYTES;
	size_t low = 0, high = mirror->nr_ranges;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (mirror->ranges[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	/* a run may go on from one mapping into the next one */
	for (; low < mirror->nr_ranges && mirror->ranges[low].start <= addr; low++) {
		addr = mirror->ranges[low].end;
		if (addr >= end)
			return true;
	}
	return false;
}

void *mirror_windows_at(const struct mirror_windows *windows, uint64_t addr, uint64_t nr_pages)
{
	uint64_t end = addr + nr_pages * PAGE_BYTES;

	for (size_t i = 0; windows && i < windows->nr; i++) {
		const struct mirror_window *window = &windows->window[i];

		if (addr >= window->start && end <= window->end)
			return window->base + (addr - window->start);
	}
	return NULL;
}

void *mirror_at(const struct mirror *mirror, uint64_t addr, uint64_t nr_pages)
{
	return mirror_windows_at(mirror->windows, addr, nr_pages);
}

int mirror_add(struct mirror *mirror, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	uint64_t had = mirror->have.nr;

	if (mirror_pay(mirror, page_set_cost(&mirror->have, addr, nr_pages), err) ||
	    (nr_pages && pay_tables(mirror, addr, nr_pages, err)))
		return -1;
	if (page_set_add(&mirror->have, addr, nr_pages, err))
		return -1;
	return budget_take(mirror->budget, BUDGET_MIRROR, (mirror->have.nr - had) * PAGE_BYTES, err);
}

void mirror_punch(struct mirror *mirror, uint64_t addr, uint64_t nr_pages)
{
	uint64_t had = mirror->have.nr;

	page_set_remove(&mirror->have, addr, nr_pages);
	mirror->punched += had - mirror->have.nr;
	budget_give(mirror->budget, BUDGET_MIRROR, (had - mirror->have.nr) * PAGE_BYTES);
	/* a failure costs memory only: what counts is @have */
	fallocate(mirror->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, addr,
		  nr_pages * PAGE_BYTES);
}

int mirror_write(struct mirror *mirror, uint64_t addr, uint64_t nr_pages, const void *data,
		struct error *err)
{
	if (io_pwrite_all(mirror->fd, data, nr_pages * PAGE_BYTES, addr))
		return error_errno(err, CODE_INTERNAL, "free some memory",
				   "cannot write %lu pages into the mirror", nr_pages);
	return mirror_add(mirror, addr, nr_pages, err);
}

int mirror_read(const struct mirror *mirror, uint64_t addr, uint64_t nr_pages, void *buf,
	       struct error *err)
{
	size_t bytes = nr_pages * PAGE_BYTES, done;

	if (io_pread_all(mirror->fd, buf, bytes, addr, &done))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot read %lu pages of the mirror",
				   nr_pages);
	return done == bytes ? 0 : error_set(err, CODE_INTERNAL, NULL,
					     "the mirror ends before 0x%lx", addr + bytes);
}
