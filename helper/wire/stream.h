/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames on the memory and urgent connections. A frame is a struct splice_vm_batch, then nr_runs
 * struct splice_vm_run and, for PAGES, nr_pages pages. The module's SEND writes this form, so that
 * the helper need not wrap SEND's bytes.
 */
#ifndef MIGRATE_WIRE_STREAM_H
#define MIGRATE_WIRE_STREAM_H

#include <stdint.h>
#include <linux/splice_vm.h>
#include "base/error.h"
#include "wire/conn.h"

/** enum frame_kind - magic number of the head; the values are on the wire */
enum frame_kind {
	FRAME_PAGES = SPLICE_VM_BATCH_MAGIC,
	FRAME_PACKED = 0x53564d4b,	/* as PAGES, compressed: wire/packed.h */
	FRAME_ZERO = 0x53564d5a,	/* the pages of the runs are zeros */
	FRAME_DROPPED = 0x53564d44,	/* the pages are gone: forget them */
	FRAME_COPY = 0x53564d43,	/* the pages are those of the parent object */
	FRAME_ALSO = 0x53564d41,	/* the next pages of one object are another one's too */
	FRAME_STALE = 0x53564d54,	/* the mirror's copy is old, the source has the page */
	FRAME_POPULATED = 0x53564d50,	/* part of the final list of populated pages */
	FRAME_ROUND = 0x53564d52,	/* end of a round on this stream; number in the cookie */
	FRAME_FINAL = 0x53564d46,	/* the lists of the frozen program are complete */
	FRAME_PUSHED = 0x53564d55,	/* nothing is left to push */
	FRAME_LOST = 0x53564d4c,	/* after COMMIT: the source cannot read the pages any more */
	FRAME_ENDED = 0x53564d45,	/* after COMMIT: the process was killed at the source */
	FRAME_REQUEST = 0x53564d51,	/* urgent, destination to source: a fault waits */
};

#define FRAME_MAX_PAGES	512	/* most pages in a PAGES frame */
#define FRAME_PACKED_PAGES	64	/* most pages, and most runs, in a PACKED frame */
#define FRAME_REQUEST_PAGES	256	/* most pages in a run of REQUEST: the source reads each of them */
#define FRAME_MAX_RUNS	65536	/* most runs in a list; 512 in a PAGES frame */
#define ROUNDS_MAX	1000	/* most rounds; numbered from 1 on without a gap */
#define OBJECTS_MAX	2048	/* most at once: each takes some 30 mappings of the receiver, of 65530 */
#define OBJECTS_EVER	65536	/* with those that are gone */

/* A cookie has the round, and the id of the object that the frame is about; Setup announces ids. */
#define FRAME_COOKIE(round, object)	((uint64_t)(round) << 32 | (uint32_t)(object))
#define FRAME_ROUND_OF(cookie)	((uint32_t)((cookie) >> 32))
#define FRAME_OBJECT_OF(cookie)	((uint32_t)(cookie))
#define FRAME_ALL_OBJECTS	0	/* ROUND and FINAL on memory streams other than the first */

/* The cookie of ALSO has the object whose pages come next where others have the round. */
#define FRAME_ALSO_COOKIE(giver, object)	FRAME_COOKIE(giver, object)
/* Runs of all ALSO for the next pages of one giver: with more the destination forgets those before. */
#define FRAME_ALSO_RUNS_MAX	131072U	/* 2 MiB */
#define FRAME_GIVER_OF(cookie)	FRAME_ROUND_OF(cookie)

/**
 * struct frame - a received frame; its pages are still on the connection
 * @runs: owned by the struct; valid until the next frame_recv() with the same struct
 */
struct frame {
	enum frame_kind kind;
	uint32_t nr_runs;
	uint64_t nr_pages;
	uint64_t cookie;
	struct splice_vm_run *runs;
	uint32_t cap_runs;
};

/** frame_has_pages() - its pages are behind its runs, compressed or not */
static inline bool frame_has_pages(const struct frame *frame)
{
	return frame->kind == FRAME_PAGES || frame->kind == FRAME_PACKED;
}

/**
 * frame_recv() - receive and check head and runs of the next frame
 * @timeout_ms: for the first byte; -1: no time-out. The following bytes have no time-out: a source
 *	may be slow in the middle of a frame
 *
 * Checks magic number, counts, alignment, order (ascending, not overlapping), user space, and the
 * sum of pages. Return: 1 a frame; 0 clean end of the stream; -1 with @err
 */
int frame_recv(const struct conn *conn, int timeout_ms, struct frame *frame, struct error *err);
void frame_free(struct frame *frame);

/**
 * frame_check_key() - the connection's key can still encrypt @nr_pages, in frames of many pages
 *
 * For a sender to ask before COMMIT: from then on a key that has encrypted too much is better than a program without
 * memory. Return: 0, or -1 with @err
 */
int frame_check_key(const struct conn *conn, uint64_t nr_pages, struct error *err);

/** frame_send() - send a list of runs without pages; a long list goes as several frames */
int frame_send(const struct conn *conn, enum frame_kind kind, uint64_t cookie,
	       const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err);

/**
 * frame_send_pages() - send a PAGES frame from memory of this helper
 * @runs: at most FRAME_MAX_PAGES runs, with at most FRAME_MAX_PAGES pages in all
 * @data: the pages, one behind the other
 */
int frame_send_pages(const struct conn *conn, uint64_t cookie, const struct splice_vm_run *runs,
		     uint32_t nr_runs, const void *data, struct error *err);

/** frame_send_copy() - frame_send_pages() of one run (slow path) */
int frame_send_copy(const struct conn *conn, uint64_t cookie, uint64_t addr,
		    uint32_t nr_pages, const void *data, struct error *err);

#endif
