// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "backend/pagemap_scan.h"
#include "backend/run_list.h"
#include "backend/uffd_wp.h"
#include "backend/write_protect.h"
#include "base/clock.h"
#include "os/pagemap.h"
#include "os/proc.h"
#include "pages/page_set.h"

#define REGIONS		512
#define EPOCH_TRIES	3
/* Not a private page. */
#define NOT_OWN		(PAGEMAP_SCAN_PFNZERO | PAGEMAP_SCAN_FILE)
/*
 * Cost for CRIU of a page that it takes for dirty, in costs of clear_refs for a page. On an
 * emulated CPU 1200 ns against 75 ns, and a fault when the program writes to the page again.
 */
#define CRIU_PAGE_COST	8

/**
 * struct write_protect - the tracker of one session
 * @wp: tells nothing any more when @given_up
 * @kept: the userfaultfd of which hold.keep() has a duplicate; -1: none
 */
struct write_protect {
	struct svm *svm;
	int clear_fd, pagemap_fd, kept;
	struct backend_hold hold;
	struct uffd_wp wp;
	bool runs, given_up;
};

bool write_protect_can(const struct svm *svm, const struct backend_hold *hold, char *why,
		       size_t size)
{
	if (!uffd_wp_is_supported())
		snprintf(why, size, "write-protection needs Linux 6.7 or later");
	else if (!(svm->info.trackers & 1 << SPLICE_VM_TRACKER_EVENTS) ||
		 !(svm->info.features & SPLICE_VM_FEATURE_UFFD))
		snprintf(why, size, "the module cannot make a userfaultfd here");
	else if (!hold)
		snprintf(why, size, "no control group can freeze the program before CRIU comes");
	else if (hold->in_calls)
		snprintf(why, size, "the freezer of cgroup v1 stops programs inside of system calls");
	else
		return snprintf(why, size, "the program does not stand in rounds");
	return false;
}

static int call_failed(const struct write_protect *wp, const char *what, int ret,
		       struct error *err)
{
	if (ret == -ESRCH)
		return error_set(err, CODE_TARGET, NULL,
				 "process %d has exited or called exec", wp->svm->pid);
	errno = -ret;
	return error_errno(err, CODE_INTERNAL, "use --tracker soft-dirty", "%s of process %d failed",
			   what, wp->svm->pid);
}

/* After a failed epoch the userfaultfd is a new one: give the keeper its duplicate. It forgets a stopped tracker. */
static int keep_uffd(struct write_protect *wp, struct error *err)
{
	int uffd = wp->runs ? wp->wp.cover.uffd : -1;

	if (uffd == wp->kept || !wp->hold.keep)
		return 0;
	if (wp->hold.keep(wp->hold.ctx, wp->svm->fd, uffd, err))
		return -1;
	wp->kept = uffd;
	return 0;
}

struct write_protect *write_protect_open(struct svm *svm, int clear_fd,
					 const struct backend_hold *hold, struct error *err)
{
	struct write_protect *wp = calloc(1, sizeof(*wp));
	int ret;

	if (!wp) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a tracker");
		return NULL;
	}
	wp->svm = svm;
	wp->clear_fd = clear_fd;
	wp->hold = *hold;
	wp->kept = -1;
	wp->pagemap_fd = pagemap_open(svm->pid, err);
	if (wp->pagemap_fd < 0) {
		free(wp);
		return NULL;
	}
	ret = uffd_wp_start(&wp->wp, svm->fd, wp->pagemap_fd);
	wp->runs = !ret;
	if (ret)
		call_failed(wp, "write-protection", ret, err);
	if (!ret && !keep_uffd(wp, err))
		return wp;
	write_protect_close(wp);
	return NULL;
}

static void stop(struct write_protect *wp)
{
	if (wp->runs)
		uffd_wp_stop(&wp->wp);
	wp->runs = false;
}

void write_protect_close(struct write_protect *wp)
{
	if (!wp)
		return;
	stop(wp);
	/* not before: a helper that dies while it lifts the protection leaves the rest to the keeper */
	keep_uffd(wp, &(struct error){ 0 });
	close(wp->pagemap_fd);
	free(wp);
}

int write_protect_start(struct write_protect *wp, struct error *err)
{
	return proc_clear_refs(wp->clear_fd, err);
}

int write_protect_scan_part(struct write_protect *wp, uint64_t start, uint64_t end,
			    backend_runs_fn fn, void *ctx, struct error *err)
{
	int tries = EPOCH_TRIES, ret;

	/* the first epoch after a failure reports every populated page */
	do {
		ret = uffd_wp_epoch(&wp->wp, start, end, end < USER_END);
	} while (ret && ret != -ESRCH && --tries);
	if (ret)
		return call_failed(wp, "an epoch", ret, err);
	if (keep_uffd(wp, err))
		return -1;
	return svm_scan(wp->svm, SPLICE_VM_SCAN_TRACKED, start, end, fn, ctx, err);
}

/* List the pages with @category that have none of the categories in @without. */
static int scan_pages(const struct write_protect *wp, uint64_t category, uint64_t without,
		      struct run_list *list, struct error *err)
{
	struct pagemap_region regions[REGIONS];
	struct scan_window window = SCAN_WINDOW_FIRST;
	struct pagemap_scan scan = {
		.vec = (uintptr_t)regions, .vec_len = REGIONS,
		.category_mask = category | without, .category_inverted = without,
		.category_anyof_mask = PAGEMAP_SCAN_PRESENT | PAGEMAP_SCAN_SWAPPED,
		.return_mask = category,
	};

	for (; scan.start < SCAN_END; scan.start = scan.walk_end) {
		long nr;

		scan.end = SCAN_END - scan.start > window.bytes ? scan.start + window.bytes : SCAN_END;
		nr = pagemap_scan_window(wp->pagemap_fd, &scan, &window);
		if (nr < 0)
			return call_failed(wp, "PAGEMAP_SCAN", nr, err);
		for (long i = 0; i < nr; i++)
			if (run_list_add(list, regions[i].start, (regions[i].end -
					 regions[i].start) / PAGE_BYTES, SPLICE_VM_RUN_DIRTY, err))
				return -1;
	}
	return run_list_flush(list, err);
}

int write_protect_scan(struct write_protect *wp, backend_runs_fn fn, void *ctx, struct error *err)
{
	struct run_list list = { .fn = fn, .ctx = ctx };

	if (!wp->given_up)
		return write_protect_scan_part(wp, 0, USER_END, fn, ctx, err);
	return scan_pages(wp, PAGEMAP_SCAN_SOFT_DIRTY, NOT_OWN, &list, err);
}

/* Every page of a mapping that the userfaultfd does not cover counts as written. */
int write_protect_list(struct write_protect *wp, backend_runs_fn fn, void *ctx, struct error *err)
{
	struct run_list list = { .fn = fn, .ctx = ctx };
	int tries = EPOCH_TRIES, ret;

	do {
		ret = uffd_wp_follow(&wp->wp);
	} while (ret && ret != -ESRCH && --tries);
	if (ret)
		return call_failed(wp, "the list of mappings", ret, err);
	if (keep_uffd(wp, err))
		return -1;
	return scan_pages(wp, PAGEMAP_SCAN_WRITTEN, PAGEMAP_SCAN_PFNZERO, &list, err);
}

static int count_runs(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	uint64_t *pages = ctx;

	for (uint32_t i = 0; i < nr; i++)
		*pages += runs[i].nr_pages;
	return 0;
}

static int count_pages(const struct write_protect *wp, uint64_t category, uint64_t without,
		       uint64_t *pages, struct error *err)
{
	struct run_list list = { .fn = count_runs, .ctx = pages };

	return scan_pages(wp, category, without, &list, err);
}

int write_protect_settle(struct write_protect *wp, struct backend_settled *settled,
			 struct error *err)
{
	uint64_t begin;

	if (count_pages(wp, PAGEMAP_SCAN_SOFT_DIRTY, NOT_OWN, &settled->dirty_pages, err) ||
	    count_pages(wp, PAGEMAP_SCAN_PRESENT, 0, &settled->pages, err))
		return -1;
	settled->cleared = settled->dirty_pages * CRIU_PAGE_COST > settled->pages;
	if (!settled->cleared)
		return 0;
	begin = clock_now_ns();
	if (proc_clear_refs(wp->clear_fd, err))
		return -1;
	settled->ns = clock_now_ns() - begin;
	return 0;
}

void write_protect_give_up(struct write_protect *wp)
{
	wp->given_up = true;
}
