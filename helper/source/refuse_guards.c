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

/*
 * Find the first guard page of process @pid. Linux 6.16 and later tells them; before that none is found. The kernel
 * walks all page tables of the process for that.
 */
static bool find_guard(pid_t pid, uint64_t *addr)
{
	struct pagemap_region region;
	struct scan_window window = SCAN_WINDOW_FIRST;
	struct pagemap_scan scan = {
		.vec = (uintptr_t)&region, .vec_len = 1, .max_pages = 1,
		.category_mask = PAGEMAP_SCAN_GUARD, .return_mask = PAGEMAP_SCAN_GUARD,
	};
	struct error ignored = { 0 };
	int fd = pagemap_open(pid, &ignored);
	long nr = 0;

	for (; fd >= 0 && !nr && scan.start < SCAN_END; scan.start = scan.walk_end) {
		scan.end = SCAN_END - scan.start > window.bytes ? scan.start + window.bytes : SCAN_END;
		nr = pagemap_scan_window(fd, &scan, &window);
	}
	if (fd >= 0)
		close(fd);
	*addr = nr > 0 ? region.start : 0;
	return nr > 0;
}

void refuse_guards(const struct inspection *look, struct refusals *refusals)
{
	uint64_t addr;

	if (find_guard(look->process->pid, &addr))
		refuse(refusals, hint, "it has guard pages (MADV_GUARD_INSTALL), the first at 0x%" PRIx64,
		       addr);
}

int refuse_new_guards(const struct inspection *look, struct error *err)
{
	uint64_t addr;

	if (!find_guard(look->process->pid, &addr))
		return 0;
	return error_set(err, CODE_REFUSED, hint,
			 "a guard page at 0x%" PRIx64 " of process %d was installed while the program was migrated",
			 addr, look->process->pid);
}
