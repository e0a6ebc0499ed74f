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
 * struct source_mm - one address space
 * @object: its name in frames
 * @pid: a process that has it
 * @backend: the session on it; owned. NULL: none yet
 * @vmas: its mappings as of source_mm_read_vmas() or source_mm_follow_vmas()
 * @frozen_vmas: its mappings when it stands, as CRIU's images tell them; NULL: it runs
 * @dirty: pages that were written since they were sent
 * @dest_current: pages of which the destination has the latest content
 * @populated: when it stands: all pages that are sent, or were
 * @final: FINAL was sent for it, or is being sent; any thread may look. @frozen_vmas stays as it is
 *	from then on, and any thread may read it
 * @unsent: from FINAL on: pages that the destination lacks and that nobody has sent yet
 * @unsent_lock: covers @unsent; a leaf lock
 */
struct source_mm {
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

/** source_mm_init() - without mappings and session; source_mm_destroy() may be called after a failure too */
int source_mm_init(struct source_mm *mm, uint32_t object, pid_t pid, struct error *err);
void source_mm_destroy(struct source_mm *mm);

/** source_mm_read_vmas() - its mappings, with all flags: that walks all of its page tables */
int source_mm_read_vmas(struct source_mm *mm, struct error *err);
/** source_mm_follow_vmas() - source_mm_read_vmas() if the mappings are others now; *@changed: they are */
int source_mm_follow_vmas(struct source_mm *mm, bool *changed, struct error *err);

/** source_mm_filter_dirty() - forget pages of mappings in @vmas, or in none, that are not sent as pages */
void source_mm_filter_dirty(struct source_mm *mm, const struct vma_list *vmas);
/** source_mm_clear_dirty() - they are sent */
void source_mm_clear_dirty(struct source_mm *mm);

/** source_mm_pages_with() - how many pages the destination has when it gets @more */
uint64_t source_mm_pages_with(const struct source_mm *mm, const struct page_set *more);

/**
 * source_mm_freeze() - it stands: find all pages that there are
 * @vmas: its mappings in the images; they stay until source_mm_destroy()
 *
 * Fails when a page cannot be read: after the program has moved that would be too late.
 */
int source_mm_freeze(struct source_mm *mm, const struct vma_list *vmas, struct error *err);

/** source_mm_find_unsent() - @unsent becomes what is populated and not current at the destination */
int source_mm_find_unsent(struct source_mm *mm, struct error *err);
/**
 * source_mm_take_unsent() - take out the next runs, which the caller sends
 * @at: where to look from; moves behind the last run
 * @runs: room for @max_runs; none is longer than @max_pages, and the sum stays below it plus one run
 * @still: how many pages stay unsent, or NULL
 * Return: how many runs
 */
uint32_t source_mm_take_unsent(struct source_mm *mm, uint64_t *at, struct splice_vm_run *runs,
			       uint32_t max_runs, uint64_t max_pages, uint64_t *still);
/** source_mm_claim() - the caller sends these pages: nobody else shall */
void source_mm_claim(struct source_mm *mm, const struct splice_vm_run *runs, uint32_t nr);

/** source_mm_is_sent_as_pages() - all of the run is in mappings, when it stands, whose pages are sent */
bool source_mm_is_sent_as_pages(const struct source_mm *mm, const struct splice_vm_run *run);

#endif
