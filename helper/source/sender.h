/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages and lists onto one connection. A page that the backend cannot send is
 * copied; what reads as zeros or is not there any more is told in a list.
 */
#ifndef MIGRATE_SOURCE_SENDER_H
#define MIGRATE_SOURCE_SENDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include "backend/backend.h"
#include "pages/page_set.h"
#include "wire/stream.h"

/**
 * struct sender - one connection; used by one thread at a time
 * @conn: not owned
 * @mm: goes into the cookie of each frame
 * @there: pages of which the destination has the latest we took, kept in step with what
 *	is sent; NULL on the urgent connection
 * @final: FINAL was said, or is being said; any thread may look
 * @frozen: the program stands: a page that cannot be read is a failure, not a change
 * @buf: for copying
 * @pages: sent, @copied of them by copying; @zero: told to be zero
 */
struct sender {
	struct backend *backend;
	const struct conn *conn;
	uint32_t mm, round;
	struct page_set *there;
	bool frozen;
	atomic_bool final;
	void *buf;
	uint64_t pages, copied, zero, bytes;
};

int sender_init(struct sender *sender, struct backend *backend, const struct conn *conn, uint32_t mm,
		struct page_set *there, struct error *err);
void sender_destroy(struct sender *sender);

/** sender_pages() - all of @runs, each by the way that fits it */
int sender_pages(struct sender *sender, const struct splice_vm_run *runs, uint32_t nr_runs,
		 struct error *err);

/** sender_list() - a list of runs: DROPPED, STALE, ZERO or POPULATED */
int sender_list(struct sender *sender, enum frame_kind kind, const struct splice_vm_run *runs,
		uint32_t nr_runs, struct error *err);

/** sender_mark() - a marker: ROUND, FINAL or PUSHED */
int sender_mark(struct sender *sender, enum frame_kind kind, struct error *err);

/**
 * sender_take() - up to @max_runs runs out of @set from *@at on, into @runs
 * @max_pages: no run is longer, and the sum stays below it plus one run
 *
 * Returns their number; *@at moves behind the last of them.
 */
uint32_t sender_take(const struct page_set *set, uint64_t *at, struct splice_vm_run *runs,
		     uint32_t max_runs, uint64_t max_pages);

#endif
