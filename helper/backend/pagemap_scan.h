/* SPDX-License-Identifier: GPL-2.0 */
/* PAGEMAP_SCAN of /proc/PID/pagemap, as linux/fs.h of Linux 6.7 has it; Debian 12 has not. */
#ifndef HELPER_BACKEND_PAGEMAP_SCAN_H
#define HELPER_BACKEND_PAGEMAP_SCAN_H

#include <stdbool.h>
#include <stdint.h>

/* Categories of pages. */
#define PAGEMAP_SCAN_WRITTEN		(1ULL << 1)
#define PAGEMAP_SCAN_FILE		(1ULL << 2)
#define PAGEMAP_SCAN_PRESENT		(1ULL << 3)
#define PAGEMAP_SCAN_SWAPPED		(1ULL << 4)
#define PAGEMAP_SCAN_PFNZERO		(1ULL << 5)
#define PAGEMAP_SCAN_SOFT_DIRTY		(1ULL << 7)
#define PAGEMAP_SCAN_GUARD		(1ULL << 8)	/* Linux 6.16 */

/* Flags: the pages that are found are write-protected. */
#define PAGEMAP_SCAN_WP_MATCHING	(1ULL << 0)

/**
 * struct pagemap_region - pages side by side that are alike; struct page_region of the kernel
 * @start: first byte
 * @end: byte after the last
 * @categories: PAGEMAP_SCAN_*
 */
struct pagemap_region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

/**
 * struct pagemap_scan - argument of PAGEMAP_SCAN; struct pm_scan_arg of the kernel
 * @size: pagemap_scan() sets it
 * @flags: in: PAGEMAP_SCAN_WP_MATCHING or 0
 * @start: in: first byte
 * @end: in: byte after the last
 * @walk_end: out: where it ended; may lie before the end of the last region
 * @vec: in: pointer to struct pagemap_region[]
 * @vec_len: in: capacity of @vec
 * @max_pages: in: at most so many pages; 0: no limit
 * @category_inverted: in: categories of @category_mask that a page must not have
 * @category_mask: in: categories that a page must have
 * @category_anyof_mask: in: a page must have one of these; 0: no matter
 * @return_mask: in: categories of which regions tell
 */
struct pagemap_scan {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};

/* PAGEMAP_SCAN takes no range that ends with the last page of user space, which is never mapped. */
#define SCAN_END	(USER_END - PAGE_BYTES)

/** pagemap_scan() - the ioctl. Return: regions or -errno */
long pagemap_scan(int pagemap_fd, struct pagemap_scan *scan);

/**
 * struct scan_window - address space that one PAGEMAP_SCAN is given
 * @bytes: follows what a call takes: the call holds the mmap lock of the target for reading
 */
struct scan_window {
	uint64_t bytes;
};

#define SCAN_WINDOW_FIRST	((struct scan_window){ .bytes = 2ULL << 30 })

/**
 * pagemap_scan_window() - pagemap_scan() of a range that the caller chose by @window
 *
 * Return: as pagemap_scan(); -EIO also when the walk did not go on from @scan->start
 */
long pagemap_scan_window(int pagemap_fd, struct pagemap_scan *scan, struct scan_window *window);

/** pagemap_scan_is_supported() - whether this kernel has it */
bool pagemap_scan_is_supported(void);

#endif
