/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mirror of one address space: a sparse memfd in which the offset of a page
 * is its address at the source, and the set of pages that are in it.
 */
#ifndef MIGRATE_DEST_MIRROR_H
#define MIGRATE_DEST_MIRROR_H

#include <limits.h>
#include <stddef.h>
#include "base/error.h"
#include "dest/budget.h"
#include "pages/page_set.h"

/** struct mirror_range - bytes [@start, @end) that the source announced */
struct mirror_range {
	uint64_t start, end;
};

/* All windows of one list of mappings: see mirror.c. */
struct mirror_windows;

/**
 * struct mirror - mirror of one address space. Not locked: the owner locks. Who receives into a window
 *	holds a reference, and no lock
 * @fd: the memfd
 * @path: name that the file is to have; NULL: a memfd. mirror_close() removes the file
 * @in_tmpfs: a file without a name in a tmpfs of the program's own, which dest/tmpfs.h names
 * @huge: of huge pages
 * @budget: pays for what is in @have; NULL: nobody asks
 * @books: bytes of BUDGET_BOOKS that this address space has taken
 * @have: pages whose content is here
 * @tables: of 2 MiB of addresses each, a page of this set for each: where page tables are, which @books pays for
 * @punched: pages since the windows were mapped; each may have left a page table behind
 * @ranges: what pages may be sent for, in order, not overlapping
 * @windows: of @ranges
 */
struct mirror {
	int fd;
	bool huge, in_tmpfs;
	struct budget *budget;
	uint64_t books;
	struct page_set have;
	char *path;
	/* private: of mirror.c */
	struct page_set tables;
	uint64_t punched;
	struct mirror_range *ranges;
	size_t nr_ranges;
	struct mirror_windows *windows;
};

int mirror_open(struct mirror *mirror, struct error *err);
/**
 * mirror_open_file() - with a new file, which has another name than @path until mirror_name()
 * @path: of a file of /dev/shm; CODE_REFUSED when it is there already
 */
int mirror_open_file(struct mirror *mirror, const char *path, struct error *err);
/** mirror_open_tmpfs() - with a new file without a name in the tmpfs of directory @dir_fd */
int mirror_open_tmpfs(struct mirror *mirror, int dir_fd, struct error *err);
/** mirror_path_is_plain() - a file of /dev/shm itself: its owner can move it to a folder that he exchanges */
bool mirror_path_is_plain(const char *path);
/** mirror_path() - the name that the file has now */
void mirror_path(const struct mirror *mirror, char path[PATH_MAX]);
/** mirror_remove_file() - by the name that the file has now; nothing for a memfd */
void mirror_remove_file(const struct mirror *mirror);
/** mirror_check_name() - -1 with CODE_REFUSED when there is a file @path */
int mirror_check_name(const char *path, struct error *err);
/** mirror_check_room() - is there room for @nr_pages more in /dev/shm, and some for others? Always for a memfd */
int mirror_check_room(const struct mirror *mirror, uint64_t nr_pages, struct error *err);
/** mirror_name() - the file gets its name; -1 with CODE_REFUSED when another file has it */
int mirror_name(struct mirror *mirror, struct error *err);

/** mirror_open_as() - with a memfd of that name, and MFD_ALLOW_SEALING in @flags or not */
int mirror_open_as(struct mirror *mirror, const char *name, unsigned int flags, struct error *err);
void mirror_close(struct mirror *mirror);

/**
 * mirror_announce() - the source's mappings, in order; replaces the earlier list
 *
 * Pages of @have outside the new list are for the caller to drop.
 */
int mirror_announce(struct mirror *mirror, const struct mirror_range *ranges, size_t nr,
		   struct error *err);

/** mirror_pay() - take @bytes more of BUDGET_BOOKS; -1 as budget_take() */
int mirror_pay(struct mirror *mirror, uint64_t bytes, struct error *err);

/** mirror_unmap() - no windows any more: nothing is received into this mirror again */
void mirror_unmap(struct mirror *mirror);

/** mirror_announced() - all of the run lies in announced ranges */
bool mirror_announced(const struct mirror *mirror, uint64_t addr, uint64_t nr_pages);

/**
 * mirror_windows_get() - windows that stay where they are until mirror_windows_put()
 *
 * May map the windows anew: not after FINAL.
 */
struct mirror_windows *mirror_windows_get(struct mirror *mirror);
void mirror_windows_put(struct mirror_windows *windows);

/** mirror_windows_at() - where the run is mapped here, or NULL */
void *mirror_windows_at(const struct mirror_windows *windows, uint64_t addr, uint64_t nr_pages);

/** mirror_at() - the same for the windows of now */
void *mirror_at(const struct mirror *mirror, uint64_t addr, uint64_t nr_pages);

/** mirror_add() - the pages are in their place: into @have */
int mirror_add(struct mirror *mirror, uint64_t addr, uint64_t nr_pages, struct error *err);

/** mirror_punch() - give the memory of the run back and take it out of @have */
void mirror_punch(struct mirror *mirror, uint64_t addr, uint64_t nr_pages);

/** mirror_write() - put pages in their place without a window, and into @have */
int mirror_write(struct mirror *mirror, uint64_t addr, uint64_t nr_pages, const void *data,
		struct error *err);

int mirror_read(const struct mirror *mirror, uint64_t addr, uint64_t nr_pages, void *buf,
	       struct error *err);

#endif
