/* SPDX-License-Identifier: GPL-2.0 */
/* One restored task, with the children that it has forked while it lacked pages. */
#ifndef MIGRATE_SERVICES_LAZY_TASK_H
#define MIGRATE_SERVICES_LAZY_TASK_H

#include "pages/journal.h"
#include "services/lazy_memory.h"

/**
 * struct lazy_task - @set: the first member; one space a process
 * @epoll: where the userfaultfds are waited for; each with its space as data
 * @at: the space at which the background goes on
 * @lost: a process has ended that lacked pages
 */
struct lazy_task {
	struct space_set set;
	struct lazy_memory *memory;
	int epoll;
	size_t at;
	bool lost;
};

/**
 * lazy_task_new() - of a task whose @uffd CRIU has handed over
 * @journal: records it, as a task of the restore number @restore; NULL: nobody does
 * @uffd: the task owns it, also after a failure; -1: the process has ended, as a journal that is replayed says next
 */
struct lazy_task *lazy_task_new(struct lazy_memory *memory, int epoll, struct journal *journal, uint32_t restore,
				int uffd, struct error *err);

/** lazy_task_ready() - CRIU has ended, and makes no more mappings */
void lazy_task_ready(struct lazy_task *task);

/** lazy_task_events() - act on the events of @space, one of the spaces of @task */
int lazy_task_events(struct lazy_task *task, struct space *space, struct error *err);

/** lazy_task_retry() - look at faults that wait. Return: 0; -1 with @err */
int lazy_task_retry(struct lazy_task *task, struct error *err);

/**
 * lazy_task_background() - ask for, or install, at most @nr_pages that no fault has asked for
 * Return: 1 when there were such pages; 0: nothing to do for now; -1 with @err
 */
int lazy_task_background(struct lazy_task *task, uint64_t nr_pages, struct error *err);

/** lazy_task_is_done() - no process lacks a page, or may still turn out to */
bool lazy_task_is_done(const struct lazy_task *task);

/** lazy_task_is_gone() - all processes have ended, as far as lazy_task_probe() has found out */
bool lazy_task_is_gone(const struct lazy_task *task);

/** lazy_task_probe() - find out which processes have ended */
void lazy_task_probe(struct lazy_task *task);

/** lazy_task_lacks() - pages that the processes lack */
uint64_t lazy_task_lacks(const struct lazy_task *task);

/** lazy_task_free() - close the userfaultfds: a page that lacks would be one of zeros from now on */
void lazy_task_free(struct lazy_task *task);

#endif
