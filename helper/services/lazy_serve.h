/* SPDX-License-Identifier: GPL-2.0 */
/* The thread that serves restores: it waits for CRIU, for all userfaultfds, and for the page server. */
#ifndef MIGRATE_SERVICES_LAZY_SERVE_H
#define MIGRATE_SERVICES_LAZY_SERVE_H

#include "services/lazy_keeper.h"
#include "services/lazy_restore.h"
#include "services/lazy_uplink.h"

/**
 * struct lazy_serve - zeroed, but for the descriptors, which are -1
 * @journal, @keeper: for the time after a SIGKILL
 * @restores: end after so many; 0: at a signal
 * @work_fd: directory of lazy-pages.socket
 * @memories: of all tasks of the images
 * @list: restores under way; the last one is that for which CRIU has not connected yet
 * @nr_restores: those that have a number
 * @complete, @failed: restores that have ended
 * @stop: a signal came
 * @borrows: the keeper of a killed helper has all still: nothing is ended here
 * @holds: the dump cannot be told that a copy has all pages: the keeper goes on with the connection
 * @tick_ms, @error_ms: time of the next tick, and up to which nothing new is tried after a failure
 * @fault_ms: time of the last fault
 * @last_ms: up to which a lost connection is waited for when all is done; 0: it was not lost then
 */
struct lazy_serve {
	struct journal journal;
	struct lazy_keeper keeper;
	int epoll, signals, work_fd;
	unsigned long restores;
	struct lazy_uplink uplink;
	struct lazy_memory *memories;
	struct lazy_restore **list;
	size_t nr;
	uint32_t nr_restores;
	uint64_t complete, failed, faults, zero;
	struct lazy_counts counts;
	bool stop, late, borrows, holds;
	int64_t tick_ms, error_ms, fault_ms, last_ms;
};

/** lazy_serve_expect() - wait for a further restore */
int lazy_serve_expect(struct lazy_serve *serve, struct error *err);

/** lazy_serve_restore() - the restore with this number; a new one, of which nothing is known, when it was never there. NULL: no memory */
struct lazy_restore *lazy_serve_restore(struct lazy_serve *serve, uint32_t number);

/** lazy_serve_reaped() - the restore with this number has ended; @complete: with all of its memory */
void lazy_serve_reaped(struct lazy_serve *serve, uint32_t number, bool complete);

/** lazy_serve_source_is_back() - there is a connection anew */
void lazy_serve_source_is_back(struct lazy_serve *serve);

/** lazy_serve_run() - until all restores are complete, or a signal comes while none is under way */
void lazy_serve_run(struct lazy_serve *serve, struct error *err);

/**
 * lazy_serve_end() - let the dump end when a restored program had all its pages; else let the dumped one go on
 */
void lazy_serve_end(struct lazy_serve *serve, struct error *err);

struct lazy_counts lazy_serve_counts(const struct lazy_serve *serve);
void lazy_serve_free(struct lazy_serve *serve);

#endif
