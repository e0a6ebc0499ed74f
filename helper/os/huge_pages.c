// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/page.h"
#include "base/clock.h"
#include "os/huge_pages.h"
#include "os/maps.h"
#include "os/pagemap.h"
#include "os/proc.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#define HUGE_BYTES	(2UL << 20)
#define HUGE_PAGES	(HUGE_BYTES / PAGE_BYTES)

enum huge_policy huge_policy(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	enum huge_policy policy = HUGE_NEVER;
	char line[64];

	if (file && fgets(line, sizeof(line), file))
		policy = strstr(line, "[always]") ? HUGE_ALWAYS :
			 strstr(line, "[madvise]") ? HUGE_ADVISED : HUGE_NEVER;
	if (file)
		fclose(file);
	return policy;
}

static uint64_t first_huge(const struct vma *vma)
{
	return (vma->start + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
}

static bool may_be_huge(const struct vma *vma, enum huge_policy policy)
{
	return vma_is_ours(vma) && vma->anon && !vma->huge_refused &&
	       (policy == HUGE_ALWAYS || (policy == HUGE_ADVISED && vma->huge_wanted)) &&
	       first_huge(vma) + HUGE_BYTES <= vma->end;
}

uint64_t huge_pages_wanted(pid_t pid, enum huge_policy policy)
{
	struct error ignored = { 0 };
	struct vma_list vmas;
	uint64_t bytes = 0;

	if (policy == HUGE_NEVER || maps_read(pid, true, &vmas, &ignored))
		return 0;
	for (size_t i = 0; i < vmas.nr; i++)
		if (may_be_huge(&vmas.vmas[i], policy))
			bytes += vmas.vmas[i].end - first_huge(&vmas.vmas[i]);
	maps_free(&vmas);
	return bytes;
}

/* All small pages are in memory, and they lie as no huge page does. */
static bool is_to_be_made(const uint64_t *entries)
{
	uint64_t first = entries[0] & PM_FRAME;
	bool in_order = first && !(first % HUGE_PAGES);

	for (size_t i = 0; i < HUGE_PAGES; i++) {
		if (!(entries[i] & PM_PRESENT) || entries[i] & PM_FILE)
			return false;
		in_order &= (entries[i] & PM_FRAME) == first + i;
	}
	return !in_order;
}

/* A page that is pinned, or memory that is short for a moment, is no reason to end. */
static int make_one(int pidfd, uint64_t addr, uint64_t *made, struct error *err)
{
	struct iovec range = { (void *)addr, HUGE_BYTES };

	if (syscall(SYS_process_madvise, pidfd, &range, 1, MADV_COLLAPSE, 0) >= 0) {
		++*made;
		return 0;
	}
	if (errno == EAGAIN || errno == EBUSY || errno == EINTR)
		return 0;
	return error_errno(err, CODE_NOT_READY, NULL, "cannot make a huge page");
}

static int make_in(const struct vma *vma, int pidfd, int pagemap_fd, uint64_t until_ns, uint64_t *made,
		   struct error *err)
{
	uint64_t entries[HUGE_PAGES];

	for (uint64_t addr = first_huge(vma); addr + HUGE_BYTES <= vma->end && clock_now_ns() < until_ns;
	     addr += HUGE_BYTES)
		if (pagemap_read(pagemap_fd, addr, HUGE_PAGES, entries, err) ||
		    (is_to_be_made(entries) && make_one(pidfd, addr, made, err)))
			return -1;
	return 0;
}

int huge_pages_make(pid_t pid, enum huge_policy policy, uint64_t until_ns, uint64_t *made,
		    struct error *err)
{
	int pidfd = proc_pidfd(pid, err), pagemap_fd = -1, ret = -1;
	struct vma_list vmas = { 0 };

	*made = 0;
	if (pidfd < 0)
		return -1;
	pagemap_fd = pagemap_open(pid, err);
	if (pagemap_fd >= 0 && !maps_read(pid, true, &vmas, err))
		ret = 0;
	for (size_t i = 0; i < vmas.nr && !ret; i++)
		if (may_be_huge(&vmas.vmas[i], policy))
			ret = make_in(&vmas.vmas[i], pidfd, pagemap_fd, until_ns, made, err);
	maps_free(&vmas);
	if (pagemap_fd >= 0)
		close(pagemap_fd);
	close(pidfd);
	return ret;
}
