// SPDX-License-Identifier: GPL-2.0
/*
 * Guard pages (MADV_GUARD_INSTALL, Linux 6.13): a touch of one is SIGSEGV, as of a page without a mapping. Up to
 * version 4.1 CRIU does not carry them: its dump fails on one that it would copy, and where pages come
 * by frames a guard page would be a page of zeros after the move.
 */
#include <inttypes.h>
#include <unistd.h>
#include "backend/pagemap_scan.h"
#include "base/page.h"
#include "os/pagemap.h"
#include "source/refuse.h"

static const char hint[] = "madvise(MADV_GUARD_REMOVE) takes them away";

#define NEAR_BYTES	(1UL << 30)	/* mappings that are nearer to each other are looked at in one call */

/* Return: as pagemap_scan() */
static long scan_range(int fd, uint64_t start, uint64_t end, struct pagemap_region *region)
{
	struct scan_window window = SCAN_WINDOW_FIRST;
	struct pagemap_scan scan = {
		.vec = (uintptr_t)region, .vec_len = 1, .max_pages = 1, .start = start,
		.category_mask = PAGEMAP_SCAN_GUARD, .return_mask = PAGEMAP_SCAN_GUARD,
	};
	long nr = 0;

	for (; !nr && scan.start < end; scan.start = scan.walk_end) {
		scan.end = end - scan.start > window.bytes ? scan.start + window.bytes : end;
		nr = pagemap_scan_window(fd, &scan, &window);
	}
	return nr;
}

/* Return: the place in @vmas behind those that are near to the one before */
static size_t near_end(const struct vma_list *vmas, size_t at)
{
	for (at++; at < vmas->nr; at++)
		if (vmas->vmas[at].start - vmas->vmas[at - 1].end > NEAR_BYTES)
			break;
	return at;
}

/*
 * Find the first guard page of process @pid. Linux 6.16 and later tells them; before that none is found. The kernel
 * walks all page tables of the process for that.
 */
static bool find_guard(pid_t pid, const struct vma_list *vmas, uint64_t *addr)
{
	struct pagemap_region region;
	struct error ignored = { 0 };
	int fd = pagemap_open(pid, &ignored);
	long nr = 0;

	for (size_t i = 0, end; fd >= 0 && !nr && i < vmas->nr; i = end) {
		end = near_end(vmas, i);
		nr = scan_range(fd, vmas->vmas[i].start, vmas->vmas[end - 1].end, &region);
	}
	if (fd >= 0)
		close(fd);
	*addr = nr > 0 ? region.start : 0;
	return nr > 0;
}

void refuse_guards(const struct inspection *look, struct refusals *refusals)
{
	uint64_t addr;

	if (find_guard(look->process->pid, look->vmas, &addr))
		refuse(refusals, hint, "it has guard pages (MADV_GUARD_INSTALL), the first at 0x%" PRIx64,
		       addr);
}

int refuse_new_guards(const struct inspection *look, const struct vma_list *vmas, struct error *err)
{
	uint64_t addr;

	if (!find_guard(look->process->pid, vmas, &addr))
		return 0;
	return error_set(err, CODE_REFUSED, hint,
			 "a guard page at 0x%" PRIx64 " of process %d was installed while the program was migrated",
			 addr, look->process->pid);
}
