/* SPDX-License-Identifier: GPL-2.0 */
/* /proc/PID/pagemap: an entry of 64 bits for each page of an address space. */
#ifndef MIGRATE_OS_PAGEMAP_H
#define MIGRATE_OS_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

#define PM_FRAME	((1UL << 55) - 1)	/* frame number, or offset in swap */
#define PM_SOFT_DIRTY	(1UL << 55)
#define PM_EXCLUSIVE	(1UL << 56)	/* no other address space maps the page */
#define PM_FILE		(1UL << 61)		/* a page of a file, or of shared memory */
#define PM_SWAPPED	(1UL << 62)
#define PM_PRESENT	(1UL << 63)

/**
 * pagemap_open() - open /proc/@pid/pagemap; bound to the process's present address space
 *
 * The kernel shows frame numbers only to CAP_SYS_ADMIN, and 0 to others.
 */
int pagemap_open(pid_t pid, struct error *err);

/**
 * pagemap_read() - read the entries of @nr pages from @addr on
 * Return: 0, or -1 with @err: CODE_TARGET when the address space is gone
 */
int pagemap_read(int fd, uint64_t addr, size_t nr, uint64_t *entries, struct error *err);

/**
 * pagemap_is_same() - two entries name the same page, which is in memory or in swap and no file's
 *
 * Swap holds a page for two address spaces as memory does. The frame is 0 for who may not see it.
 */
static inline bool pagemap_is_same(uint64_t a, uint64_t b)
{
	const uint64_t page = PM_FRAME | PM_PRESENT | PM_SWAPPED | PM_FILE;

	return (a & (PM_PRESENT | PM_SWAPPED)) && !(a & PM_FILE) && (a & PM_FRAME) &&
	       (a & page) == (b & page);
}

/** pagemap_may_be_common() - several address spaces may have the page of the entry. No other one has a page that is mapped once */
static inline bool pagemap_may_be_common(uint64_t entry)
{
	return (entry & (PM_PRESENT | PM_SWAPPED)) && !(entry & (PM_EXCLUSIVE | PM_FILE));
}

/** pagemap_zero_frame() - frame number of the kernel's page of zeros; 0: not known */
uint64_t pagemap_zero_frame(void);

/**
 * pagemap_tells_writes() - write to a page to see whether this kernel has soft-dirty bits
 *
 * The first call alone: clear_refs walks all memory of this process, which hundreds of sessions would each do.
 */
bool pagemap_tells_writes(void);

#endif
