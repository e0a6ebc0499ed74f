/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One address space of the program: its mappings, the session that reads its pages, and which pages
 * the destination has. The main thread alone uses it, but for the pages that are unsent.
 */
#ifndef MIGRATE_SOURCE_MM_H
#define MIGRATE_SOURCE_MM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "backend/backend.h"
#include "os/maps.h"
#include "pages/page_set.h"

/**
 * struct mm - one address space
 * @object: its name in frames
 * @pid: a process that has it
 * @backend: the session on it; owned. NULL: none yet
 * @vmas: its mappings as of mm_read_vmas() or mm_follow_vmas()
 * @frozen_vmas: its mappings when it stands, as CRIU's images tell them; NULL: it runs
 * @dirty: pages that were written since they were sent, or since the destination was told so
 * @dest_current: pages of which the destination has the latest content
 * @populated: when it stands: all pages that are sent, or were
 * @final: FINAL was sent for it, or is being sent; any thread may look. @frozen_vmas stays as it is
 *	from then on, and any thread may read it
 * @unsent: from FINAL on: pages that the destination lacks and that nobody has sent yet
 * @unsent_lock: covers @unsent; a leaf lock
 */
struct mm {
	uint32_t object;
	pid_t pid;
	struct backend *backend;
	struct vma_list vmas;
	const struct vma_list *frozen_vmas;
	struct page_set dirty, dest_current, populated;
	atomic_bool final;
	pthread_mutex_t unsent_lock;
	struct page_set unsent;
};

/** mm_init() - without mappings and session; mm_destroy() may be called after a failure too */
int mm_init(struct mm *mm, uint32_t object, pid_t pid, struct error *err);
void mm_destroy(struct mm *mm);

/** mm_read_vmas() - its mappings, with all flags: that walks all of its page tables */
int mm_read_vmas(struct mm *mm, struct error *err);
/** mm_follow_vmas() - mm_read_vmas() if the mappings are others now; *@changed: they are */
int mm_follow_vmas(struct mm *mm, bool *changed, struct error *err);

/** mm_filter_dirty() - forget pages of mappings in @vmas, or in none, that are not sent as pages */
void mm_filter_dirty(struct mm *mm, const struct vma_list *vmas);
/** mm_clear_dirty() - the pages are sent, or the destination knows that it has old ones */
void mm_clear_dirty(struct mm *mm);

/** mm_pages_with() - how many pages the destination has when it gets @more */
uint64_t mm_pages_with(const struct mm *mm, const struct page_set *more);

/**
 * mm_freeze() - it stands: find all pages that there are
 * @vmas: its mappings in the images; they stay until mm_destroy()
 *
 * Fails when a page cannot be read: after the program has moved that would be too late.
 */
int mm_freeze(struct mm *mm, const struct vma_list *vmas, struct error *err);

/** mm_find_unsent() - @unsent becomes what is populated and not current at the destination */
void mm_find_unsent(struct mm *mm);
/**
 * mm_take_unsent() - take out the next runs, which the caller sends
 * @at: where to look from; moves behind the last run
 * @runs: room for @max_runs; none is longer than @max_pages, and the sum stays below it plus one run
 * @still: how many pages stay unsent, or NULL
 * Return: how many runs
 */
uint32_t mm_take_unsent(struct mm *mm, uint64_t *at, struct splice_vm_run *runs, uint32_t max_runs,
			uint64_t max_pages, uint64_t *still);
/** mm_claim() - the caller sends these pages: nobody else shall */
void mm_claim(struct mm *mm, const struct splice_vm_run *runs, uint32_t nr);

/** mm_is_sent_as_pages() - all of the run is in mappings, when it stands, whose pages are sent */
bool mm_is_sent_as_pages(const struct mm *mm, const struct splice_vm_run *run);

#endif
