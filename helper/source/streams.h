/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Several memory connections. A sender with streams sends what its callers give it over all of them: pages at once, by
 * one thread for each connection, so that each has a CPU for its system calls and its encryption; lists one after the other.
 *
 * The order of frames. A connection keeps it, several do not. Two frames of which the second one must find the first one
 * applied are always about one address: a DROPPED and the page behind it, a page of this round and of the next one, a COPY and the
 * parent's page that it takes, an ALSO and the giver's page. (COPY and ALSO name two objects, and one address.) So an
 * address belongs to one stream for the whole migration, whatever object it is of: stripes of STREAMS_STRIPE go
 * round the streams. Over one stream there is the order that there was with one connection.
 *
 * Frames about all addresses of an object (ROUND, FINAL, PUSHED) are said on each stream, and count at the destination when all
 * streams have brought them (dest/barrier.h).
 *
 * A call returns when all of its pages are on their connections: the caller then scans, marks, or gives up as with one. A
 * stream that is slow makes the others wait for it at the end of a call.
 */
#ifndef MIGRATE_SOURCE_STREAMS_H
#define MIGRATE_SOURCE_STREAMS_H

#include <pthread.h>
#include "source/sender.h"

/* A huge page, and a full frame. Larger: small programs go over few streams; smaller: more frames that are not full. */
#define STREAMS_STRIPE	(2UL << 20)

struct streams;

/**
 * struct stream - one of them
 * @sender: onto its connection
 * @compress: whether its pages are compressed: each stream measures its own connection
 * @runs: @nr pieces of what is sent now, with room for @cap
 * @work: the thread has to send @runs; it sets @ret and @err. Under streams.lock
 */
struct stream {
	struct streams *all;
	struct sender sender;
	struct compress compress;
	struct splice_vm_run *runs;
	uint32_t nr, cap;
	bool work, has_thread;
	pthread_t thread;
	int ret;
	struct error err;
};

/**
 * struct streams - of the main thread, which sends onto the first connection itself; zeroed: none
 * @lock: a leaf lock: who works, @mm and @stop. Held by nobody who sends
 * @sets: a leaf lock: sets of pages of an address space, which the threads update with what they sent
 * @mm: whose pages @list has
 * @working: threads that have not finished
 */
struct streams {
	struct stream *list;
	unsigned int nr;
	pthread_mutex_t lock, sets;
	pthread_cond_t begin, end;
	struct source_mm *mm;
	unsigned int working;
	bool stop;
};

/**
 * streams_init() - @sender sends over all of @nr connections @conns; with one there are no streams
 *
 * @sender was made by sender_init() with the first one. Return: 0, or -1 with @err; streams_destroy() in either case
 */
int streams_init(struct streams *streams, const struct conn *conns, unsigned int nr, struct sender *sender,
		 struct error *err);
/**
 * streams_agree() - compress_agree() for each stream
 * @whole: what the user asked for; each stream gets its share of the limit
 */
int streams_agree(struct streams *streams, const struct compress *whole, uint32_t codecs, struct error *err);
/** streams_compressed() - put the sum of what the streams compressed into @whole, for the result */
void streams_compressed(const struct streams *streams, struct compress *whole);

/** streams_destroy() - nothing is sent any more, and the connections are shut down or idle */
void streams_destroy(struct streams *streams);

/** streams_at() - the stream to which @addr belongs */
static inline struct stream *streams_at(const struct streams *streams, uint64_t addr)
{
	return &streams->list[addr / STREAMS_STRIPE % streams->nr];
}

#endif
