/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames onto one connection. The sender copies a page that the backend cannot send by reference; a
 * ZERO or DROPPED list names pages that read as zeros, or are gone.
 */
#ifndef MIGRATE_SOURCE_SENDER_H
#define MIGRATE_SOURCE_SENDER_H

#include <stdbool.h>
#include "source/compress.h"
#include "source/mm.h"
#include "source/pace.h"
#include "wire/stream.h"

struct sender;
struct streams;

/** struct sender_ops - how a sender with several connections does what is documented below, under the same names */
struct sender_ops {
	int (*pages)(struct sender *sender, struct source_mm *mm, const struct splice_vm_run *runs, uint32_t nr_runs,
		     struct error *err);
	int (*list)(struct sender *sender, struct source_mm *mm, enum frame_kind kind, const struct splice_vm_run *runs,
		    uint32_t nr_runs, struct error *err);
	int (*also)(struct sender *sender, const struct source_mm *giver, struct source_mm *mm,
		    const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err);
	int (*mark)(struct sender *sender, struct source_mm *mm, enum frame_kind kind, struct error *err);
	int (*end)(struct sender *sender, enum frame_kind kind, struct error *err);
	void (*end_round)(struct sender *sender);
	struct sender *(*at)(struct sender *sender, uint64_t addr);
	uint64_t (*pages_at)(const struct sender *sender, uint64_t addr, uint64_t nr_pages);
	unsigned int (*width)(const struct sender *sender);
};

/**
 * struct sender - one connection, or several; used by one thread at a time
 * @conn: not owned
 * @round: goes into the cookie of each frame
 * @keeps_current: each frame updates source_mm.dest_current. False on the urgent connection: its
 *	thread is not the main one, which owns that set
 * @keeps_answered: pages that were sent are put into source_mm.answered
 * @frozen: the program stands: a page that cannot be read is a failure, not a change
 * @tells_lost: COMMIT is recorded: such a page is told as LOST, and a process that was killed as ENDED.
 *	The other pages are sent all the same
 * @lost: pages that were told as LOST, and processes that were told as ENDED
 * @also_max: runs that ALSO may name for the next pages of one process
 * @gave_nothing: pages for which ALSO named others may not have come
 * @ops, @streams: memory connections of which @conn is the first, and over which all goes (source/streams.h); NULL: @conn alone
 * @sets: covers source_mm.dest_current where several threads send; NULL: one does
 * @pace: limits how fast pages go out; NULL: nothing does
 * @compress: whether and how pages are compressed; NULL: they are not
 * @buf: for copying
 * @pages: sent, @copied of them by copying; @zero: told to be zero; @inherited: told to be those of another
 *	process, by COPY or ALSO. @bytes: of pages that were sent; @carried: of these, what the connection had to carry
 */
struct sender {
	const struct conn *conn;
	uint32_t round;
	bool keeps_current, keeps_answered, frozen, tells_lost;
	uint32_t also_max;
	const struct source_mm *gave_nothing;
	const struct sender_ops *ops;
	struct streams *streams;
	pthread_mutex_t *sets;
	struct pace *pace;
	struct compress *compress;
	void *buf;
	uint64_t pages, copied, zero, inherited, bytes, carried, lost;
};

int sender_init(struct sender *sender, const struct conn *conn, bool keeps_current,
		struct error *err);
void sender_destroy(struct sender *sender);

/** sender_most() - how many pages, @most at most, to give to one call of sender_pages() */
static inline uint64_t sender_most(const struct sender *sender, uint64_t most)
{
	return compress_pages(sender->compress, pace_pages(sender->pace, most));
}

/** sender_pages() - each page of @runs, as PAGES, ZERO, DROPPED or LOST; or ENDED */
int sender_pages(struct sender *sender, struct source_mm *mm, const struct splice_vm_run *runs,
		 uint32_t nr_runs, struct error *err);

/** sender_list() - a list of runs: DROPPED, STALE, ZERO, COPY, POPULATED or LOST */
int sender_list(struct sender *sender, struct source_mm *mm, enum frame_kind kind,
		const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err);
/** sender_set() - sender_list() of all pages of @set */
int sender_set(struct sender *sender, struct source_mm *mm, enum frame_kind kind,
	       const struct page_set *set, struct error *err);

/** sender_also() - these pages of @giver, which are sent next, are @mm's too */
int sender_also(struct sender *sender, const struct source_mm *giver, struct source_mm *mm,
		const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err);

/** sender_mark() - a marker: ROUND, FINAL, PUSHED or ENDED of @mm */
int sender_mark(struct sender *sender, struct source_mm *mm, enum frame_kind kind,
		struct error *err);

/** sender_end() - all objects have had their ROUND, or FINAL: it is said on the other streams too */
int sender_end(struct sender *sender, enum frame_kind kind, struct error *err);

/** sender_end_round() - the destination has all of the round: compress_end_round() */
void sender_end_round(struct sender *sender);

/** sender_at() - where frames about @addr go: @sender itself, or that of a stream, which the caller must count for too */
struct sender *sender_at(struct sender *sender, uint64_t addr);
/** sender_pages_at() - how many of @nr_pages pages from @addr on sender_at() is right for */
uint64_t sender_pages_at(const struct sender *sender, uint64_t addr, uint64_t nr_pages);
/** sender_width() - over how many connections pages go at once */
unsigned int sender_width(const struct sender *sender);

#endif
