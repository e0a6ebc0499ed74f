/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One address space of the program: its mappings, the session that reads its pages, and which pages
 * the destination has. The main thread uses the struct; the unsent pages are shared with the thread
 * that answers requests.
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
#include "source/hot.h"

/**
 * struct source_mm - one address space
 * @object: the id of the address space in frames
 * @pid: a process that has the address space
 * @backend: the session on the address space; owned. NULL: none yet
 * @tracked: the backend follows writes
 * @begun: a round with the object was announced, so that frames may name the object
 * @vmas: the mappings as of source_mm_read_vmas() or source_mm_follow_vmas()
 * @frozen_vmas: the mappings of the frozen process, as CRIU's images tell them; NULL: the process
 *	runs
 * @by_parts: the round takes its pages part by part (source/parts.h): until then @dirty is a list
 * @known: a round with the object has ended: the destination may have pages of it
 * @dirty: pages that were written since the page was sent, or since STALE named the page
 * @later: pages that this round does not send, and that are dirty from its end on: by parts those that it cannot send,
 *	and those of @hot
 * @dest_current: pages of which the destination has the latest content
 * @populated: all pages of the frozen process that frames carry
 * @common: pages of @populated that other address spaces may have too; where @knows_common is set
 * @final: FINAL was sent for this address space, or is being sent; any thread may look. From then
 *	on @frozen_vmas does not change, and any thread may read the list
 * @pushed: PUSHED was sent, or is being sent; any thread may look
 * @ended: the destination was told that the process was killed here; any thread may look
 * @unsent: from FINAL on: pages that the destination lacks and that no thread has sent yet
 * @unsent_lock: covers @unsent; a leaf lock, of source/mm.c alone
 * @pagemap_fd: from FINAL on, where there are several address spaces: to find pages that are the same
 *	(source/sharers.h). -1: not looked at
 * @answered: pages that answers to requests have carried since COMMIT. The thread that answers uses the set
 */
struct source_mm {
	uint32_t object;
	pid_t pid;
	struct backend *backend;
	bool tracked, begun, by_parts, known;
	struct vma_list vmas;
	const struct vma_list *frozen_vmas;
	struct page_set dirty, later, dest_current, populated, common;
	bool knows_common;
	struct hot hot;
	atomic_bool final, pushed, ended;
	pthread_mutex_t unsent_lock;
	struct page_set unsent;
	int pagemap_fd;
	struct page_set answered;
};

/** source_mm_init() - without mappings and session */
void source_mm_init(struct source_mm *mm, uint32_t object, pid_t pid);
void source_mm_destroy(struct source_mm *mm);

/** source_mm_read_vmas() - the mappings with all flags: the kernel walks all page tables */
int source_mm_read_vmas(struct source_mm *mm, struct error *err);
/** source_mm_follow_vmas() - read the mappings again if there are others now (*@changed) */
int source_mm_follow_vmas(struct source_mm *mm, bool *changed, struct error *err);

/** source_mm_filter_dirty() - only pages of mappings whose pages are sent stay dirty */
void source_mm_filter_dirty(struct source_mm *mm, const struct vma_list *vmas);
/** source_mm_clear_dirty() - the dirty pages were sent, or STALE named them */
void source_mm_clear_dirty(struct source_mm *mm);
/** source_mm_end_round() - source_mm_clear_dirty(); what was put off is dirty from now on */
int source_mm_end_round(struct source_mm *mm, struct error *err);

/**
 * source_mm_take() - the pages of @run were written, and their part is sent next
 *
 * A page that is neither listed nor at the destination came into being behind the list. The destination was
 * not told to make room for it: it is put off.
 */
int source_mm_take(struct source_mm *mm, const struct splice_vm_run *run, struct error *err);
/** source_mm_put_off() - dirty pages from @start to below @end in no mapping that is sent wait for the next round */
int source_mm_put_off(struct source_mm *mm, uint64_t start, uint64_t end, struct error *err);

/** source_mm_put_off_hot() - the same for dirty pages that are hot. Return: 0 with *@nr: how many, or -1 */
int source_mm_put_off_hot(struct source_mm *mm, uint64_t start, uint64_t end, uint64_t *nr, struct error *err);

/** source_mm_pages_with() - how many pages the destination has when it gets @more */
uint64_t source_mm_pages_with(const struct source_mm *mm, const struct page_set *more);

/**
 * source_mm_freeze() - the process is frozen: find all populated pages
 * @vmas: the mappings in the images; the list stays until source_mm_destroy()
 *
 * Fails when a page cannot be read: a failure after COMMIT would lose the program.
 */
int source_mm_freeze(struct source_mm *mm, const struct vma_list *vmas, struct error *err);

/** source_mm_find_unsent() - unsent is what is populated and not current at the destination */
int source_mm_find_unsent(struct source_mm *mm, struct error *err);
/**
 * source_mm_take_unsent() - take out the next runs, which the caller sends
 * @at: where to look from; moves behind the last run
 * @runs: room for @max_runs
 * @max_pages: no run is longer, and the sum stays below it plus one run
 * @still: how many pages stay unsent, or NULL
 * Return: how many runs
 */
uint32_t source_mm_take_unsent(struct source_mm *mm, uint64_t *at, struct splice_vm_run *runs,
			       uint32_t max_runs, uint64_t max_pages, uint64_t *still);
/** source_mm_look_unsent() - which of the pages of @runs are unsent; @found: room for @max. Return: how many runs */
uint32_t source_mm_look_unsent(struct source_mm *mm, const struct splice_vm_run *runs, uint32_t nr,
			       struct splice_vm_run *found, uint32_t max);
/** source_mm_add_sent() - add to @sent the populated pages from @start to below @end that are not unsent */
int source_mm_add_sent(struct source_mm *mm, uint64_t start, uint64_t end, struct page_set *sent,
		       struct error *err);
/** source_mm_claim() - take these pages out of the unsent ones: the push does not send them */
void source_mm_claim(struct source_mm *mm, const struct splice_vm_run *runs, uint32_t nr);
/**
 * source_mm_claim_part() - take the first part of @run out of the unsent pages; the caller sends it
 * @run: in: not empty; out: the part, of which all pages were unsent, or none was
 * Return: true when they were unsent: no other thread sends them
 */
bool source_mm_claim_part(struct source_mm *mm, struct splice_vm_run *run);

/** source_mm_is_sent_as_pages() - frames carry the pages of each frozen mapping in the run */
bool source_mm_is_sent_as_pages(const struct source_mm *mm, const struct splice_vm_run *run);

#endif
