// SPDX-License-Identifier: GPL-2.0
/*
 * A userfaultfd of the target, which SPLICE_VM_UFFD makes, write-protects pages asynchronously: a
 * write lifts the protection of its page by itself. PAGEMAP_SCAN finds the pages that are not
 * protected and protects them, in one step for the task. The session's events tracker knows the
 * rest: drops, new mappings, and pages with extra references (which direct I/O may write to).
 *
 * Why an epoch loses nothing. It has five steps, in this order:
 *
 *  1. SCAN MAPPINGS. The module logs every mapping that our userfaultfd does not cover.
 *  2. UFFDIO_REGISTER of the new ones; UFFDIO_WRITEPROTECT clears what protection they bring along.
 *  3. PAGEMAP_SCAN reports and protects the pages that are not protected.
 *  4. EPOCH hands these pages to the module, which then looks for references of others.
 *  5. SCAN TRACKED, by the caller, takes pages out of the module's record; the caller reads them.
 *
 * - A page that is written before step 3 is not protected, so step 3 reports the page, and the
 *   caller reads it later than that. A write after step 3 lifts the protection: the next epoch
 *   reports the page. A write is on one side or the other: the kernel holds the page table's lock.
 * - A page in a mapping that came after the last epoch was logged in step 1. A mapping that comes
 *   between steps 1 and 3 is not registered: step 3 passes over it, and step 1 of the next epoch
 *   logs it. The same is so of a mapping that lost its registration (mremap merges, Linux 6.12).
 * - A protected bit that a page brings into a new mapping is old: such a page may be writable.
 *   Step 2 clears the bit before step 3 looks. Where step 2 fails no bit can be trusted, and the
 *   next epoch begins with a new userfaultfd, to which every mapping is new.
 * - A page that is dropped, or replaced without a fault (KSM, migration), is logged by the
 *   module's notifier, whenever it happens, until step 5 takes it.
 * - A page that direct I/O writes to by reference was made writable first, so step 3 of that epoch
 *   reported the page. Step 4 looks at just these pages, after they were protected: a reference that
 *   is taken later needs a fault, which lifts the protection.
 * - Step 3 passes over holes and pages of zeros (PAGE_IS_PFNZERO). Neither has content, and a
 *   write puts another page there, which is not protected. So no hole gets a note of protection:
 *   page tables do not grow, and CRIU takes no such note for a swapped page.
 *
 * An epoch by parts. uffd_wp_epoch() ends the epoch of one range of addresses, right before the caller
 * reads its pages. A page that is written before its part is taken then costs the program no fault, and
 * is sent once. Nothing above speaks of two addresses at a time: the five steps are taken for each
 * address once in a round, in their order, and only the moments differ between addresses.
 *
 * - uffd_wp_follow() takes steps 1 and 2 for all, so that a mapping is registered in one piece. A mapping that is
 *   new in a part and goes on in the next one is put off until the next round: step 1 has logged it. A list
 *   of what was written is made behind it, for counting. The caller sends what the parts report: the
 *   listed pages that are still there, those that were written since, and those of the module's record.
 * - mremap may move pages out of a part that is to come into a part that was taken. The old addresses
 *   are reported as dropped when their part is taken. The new mapping has no registration: it is logged
 *   by step 1 of the next round, as any mapping that comes behind step 1 is.
 * - The part that an mremap moves pages into may be to come: its step 1 logs the mapping.
 * - When a part fails half-way, the next part begins with a new userfaultfd, to which every mapping is
 *   new. A part that was taken before then is reported whole in the next round.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/pagemap_scan.h"
#include "backend/uffd_cover.h"
#include "backend/uffd_wp.h"

/* Newer than the headers of Debian 12. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC		(1 << 15)
#endif

static bool api_is_there(int uffd)
{
	struct uffdio_api api = { .api = UFFD_API };

	/* a request for no features returns all that the kernel has */
	return !uffd_ioctl(uffd, UFFDIO_API, &api) && api.features & UFFD_FEATURE_WP_ASYNC;
}

bool uffd_wp_is_supported(void)
{
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	bool supported = uffd >= 0 && api_is_there(uffd) && pagemap_scan_is_supported();

	if (uffd >= 0)
		close(uffd);
	return supported;
}

/* Return: the userfaultfd, or -errno */
static int uffd_make(int session_fd)
{
	struct splice_vm_uffd arg = { .size = sizeof(arg) };
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	int ret = uffd_ioctl(session_fd, SPLICE_VM_UFFD, &arg);

	if (ret)
		return ret;
	ret = uffd_ioctl(arg.fd, UFFDIO_API, &api);
	if (!ret)
		return arg.fd;
	close(arg.fd);
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}

static int track(int session_fd, uint32_t tracker, int uffd)
{
	struct splice_vm_track arg = {
		.size = sizeof(arg), .tracker = tracker, .uffd_fd = uffd,
	};

	return uffd_ioctl(session_fd, SPLICE_VM_TRACK, &arg);
}

/* In place of the one that there is, if any; the module goes on logging meanwhile. */
static int uffd_renew(struct uffd_wp *wp)
{
	int uffd = uffd_make(wp->cover.session_fd), ret;

	if (uffd < 0)
		return uffd;
	if (wp->cover.uffd >= 0) {
		uffd_cover_unprotect(wp->cover.session_fd, wp->cover.uffd);
		close(wp->cover.uffd);
	}
	wp->cover.uffd = uffd;
	ret = track(wp->cover.session_fd, SPLICE_VM_TRACKER_EVENTS, uffd);
	wp->broken = ret;
	return ret;
}

static void memory_free(struct uffd_wp *wp)
{
	if (wp->cover.uffd >= 0)
		close(wp->cover.uffd);
	free(wp->epoch);
	free(wp->cover.mappings);
	*wp = (struct uffd_wp){ .cover.uffd = -1 };
}

/**
 * struct uffd_wp_epoch - one epoch under way, or memory for it
 * @wp: the tracker
 * @told: SPLICE_VM_EPOCH has had all addresses below
 * @regions: what PAGEMAP_SCAN found
 * @runs: the same for SPLICE_VM_EPOCH
 */
struct uffd_wp_epoch {
	struct uffd_wp *wp;
	uint64_t told;
	struct pagemap_region regions[SPLICE_VM_EPOCH_RUNS];
	struct splice_vm_run runs[SPLICE_VM_EPOCH_RUNS];
};

static int epoch_tell(struct uffd_wp_epoch *epoch, uint64_t end, size_t nr, uint32_t flags)
{
	struct splice_vm_epoch arg = {
		.size = sizeof(arg), .flags = flags, .start = epoch->told, .end = end,
		.runs = (uintptr_t)epoch->runs, .nr_runs = nr,
	};

	return uffd_ioctl(epoch->wp->cover.session_fd, SPLICE_VM_EPOCH, &arg);
}

/* Return: regions or -errno; @until says how far it came */
static long epoch_scan(struct uffd_wp_epoch *epoch, uint64_t start, uint64_t end, uint64_t *until)
{
	struct pagemap_scan scan = {
		.flags = PAGEMAP_SCAN_WP_MATCHING, .start = start, .end = end,
		.vec = (uintptr_t)epoch->regions, .vec_len = SPLICE_VM_EPOCH_RUNS,
		.category_mask = PAGEMAP_SCAN_WRITTEN | PAGEMAP_SCAN_PFNZERO,
		.category_inverted = PAGEMAP_SCAN_PFNZERO,
		.category_anyof_mask = PAGEMAP_SCAN_PRESENT | PAGEMAP_SCAN_SWAPPED,
		.return_mask = PAGEMAP_SCAN_WRITTEN,
	};
	long nr = pagemap_scan_window(epoch->wp->pagemap_fd, &scan, &epoch->wp->window);

	*until = scan.walk_end;
	return nr;
}

/* A run's length in pages has 32 bits; no region is longer. */
static void runs_from_regions(struct uffd_wp_epoch *epoch, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		const struct pagemap_region *region = &epoch->regions[i];

		epoch->runs[i] = (struct splice_vm_run){
			.addr = region->start,
			.nr_pages = (region->end - region->start) / UFFD_COVER_PAGE,
		};
	}
}

static int epoch_window(struct uffd_wp_epoch *epoch, uint64_t start, uint64_t end, uint64_t *until)
{
	uint64_t last = 0;
	long nr = epoch_scan(epoch, start, end, until);
	int ret;

	if (nr < 0)
		return nr;
	runs_from_regions(epoch, nr);
	if (nr)
		last = epoch->regions[nr - 1].end;
	/* The last region may lie behind the point where the walk says that it ended. */
	ret = epoch_tell(epoch, last > *until ? last : *until, nr, SPLICE_VM_EPOCH_MORE);
	epoch->told = *until;
	return ret;
}

/*
 * One window from mapping @i on, beginning at @addr. PAGEMAP_SCAN passes over gaps, but it would
 * take from a task the writes that a userfaultfd of the task's own waits for: so the window ends
 * before a mapping that is not ours. Return: byte after the window's last
 */
static uint64_t window_end(const struct uffd_wp *wp, size_t i, uint64_t addr)
{
	uint64_t limit = addr + wp->window.bytes, end = addr;

	for (; i < wp->cover.nr && wp->cover.mappings[i].flags == SPLICE_VM_RUN_COVERED; i++) {
		if (wp->cover.mappings[i].addr >= limit)
			break;
		end = uffd_run_end(&wp->cover.mappings[i]);
	}
	return end < limit ? end : limit;
}

static int epoch_collect(struct uffd_wp_epoch *epoch)
{
	const struct uffd_wp *wp = epoch->wp;
	uint64_t addr = 0;
	size_t i = 0;
	int ret = 0;

	while (!ret && i < wp->cover.nr) {
		const struct splice_vm_run *run = &wp->cover.mappings[i];

		if (run->flags != SPLICE_VM_RUN_COVERED || uffd_run_end(run) <= addr) {
			i++;
			continue;
		}
		if (addr < run->addr)
			addr = run->addr;
		ret = epoch_window(epoch, addr, window_end(wp, i, addr), &addr);
	}
	return ret;
}

/* Steps 1 and 2. */
static int cover_mappings(struct uffd_wp *wp, uint64_t start, uint64_t end)
{
	int ret = 0;

	if (wp->broken)
		ret = uffd_renew(wp);
	if (!ret)
		ret = uffd_cover_list(&wp->cover, start, end);
	if (!ret && wp->parts)
		uffd_cover_put_off(&wp->cover, start, end);
	return ret ? ret : uffd_cover_new(&wp->cover);
}

/* @flags: SPLICE_VM_EPOCH_MORE: more parts follow */
static int epoch_run(struct uffd_wp *wp, uint64_t start, uint64_t end, uint32_t flags)
{
	struct uffd_wp_epoch *epoch = wp->epoch;
	int ret = cover_mappings(wp, start, end);

	if (ret)
		return ret;
	epoch->wp = wp;
	epoch->told = start;
	ret = epoch_collect(epoch);
	return ret ? ret : epoch_tell(epoch, end, 0, flags);
}

/* What is protected, and was not told, would be lost. */
static int break_at_failure(struct uffd_wp *wp, int ret)
{
	if (ret)
		wp->broken = true;
	return ret;
}

int uffd_wp_epoch(struct uffd_wp *wp, uint64_t start, uint64_t end, bool more)
{
	int ret = epoch_run(wp, start, end, more ? SPLICE_VM_EPOCH_MORE : 0);

	wp->parts = wp->parts && more;
	return break_at_failure(wp, ret);
}

int uffd_wp_follow(struct uffd_wp *wp)
{
	int ret;

	wp->parts = false;
	ret = cover_mappings(wp, 0, UINT64_MAX);
	wp->parts = true;
	return break_at_failure(wp, ret);
}

/* Memory is taken, and touched, here: an epoch under memory pressure needs none. */
static int memory_make(struct uffd_wp *wp)
{
	wp->epoch = malloc(sizeof(*wp->epoch));
	if (!wp->epoch || uffd_cover_grow(&wp->cover)) {
		free(wp->epoch);
		return -ENOMEM;
	}
	memset(wp->epoch, 0, sizeof(*wp->epoch));
	memset(wp->cover.mappings, 0, wp->cover.cap * sizeof(*wp->cover.mappings));
	return 0;
}

int uffd_wp_start(struct uffd_wp *wp, int session_fd, int pagemap_fd)
{
	int ret;

	*wp = (struct uffd_wp){
		.cover = { .session_fd = session_fd, .uffd = -1 }, .pagemap_fd = pagemap_fd,
		.window = SCAN_WINDOW_FIRST,
	};
	ret = memory_make(wp);
	if (ret)
		return ret;
	ret = uffd_renew(wp);
	if (!ret)
		return 0;
	if (wp->cover.uffd >= 0)
		close(wp->cover.uffd);
	memory_free(wp);
	return ret;
}

void uffd_wp_stop(struct uffd_wp *wp)
{
	if (wp->cover.uffd >= 0)
		uffd_cover_unprotect(wp->cover.session_fd, wp->cover.uffd);
	track(wp->cover.session_fd, SPLICE_VM_TRACKER_NONE, 0);
	memory_free(wp);
}
