/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames on the memory and urgent connections. A frame is a struct
 * splice_vm_batch, nr_runs struct splice_vm_run and, for PAGES, nr_pages pages:
 * the form that the module's SEND writes, so that its bytes need no wrapping.
 */
#ifndef MIGRATE_WIRE_STREAM_H
#define MIGRATE_WIRE_STREAM_H

#include <stdint.h>
#include <linux/splice_vm.h>
#include "base/error.h"
#include "wire/conn.h"

/** enum frame_kind - the magic of the head; values are on the wire */
enum frame_kind {
	FRAME_PAGES = SPLICE_VM_BATCH_MAGIC,
	FRAME_ZERO = 0x53564d5a,	/* runs read as zeros now */
	FRAME_DROPPED = 0x53564d44,	/* forget these runs */
	FRAME_STALE = 0x53564d54,	/* the mirror's copy is old, the page is at the source */
	FRAME_POPULATED = 0x53564d50,	/* part of the final list of all there is */
	FRAME_ROUND = 0x53564d52,	/* end of a round on this stream, number in the cookie */
	FRAME_FINAL = 0x53564d46,	/* lists of the frozen state are complete */
	FRAME_PUSHED = 0x53564d55,	/* all pages were pushed */
	FRAME_REQUEST = 0x53564d51,	/* urgent, destination to source: wanted now */
};

#define FRAME_MAX_PAGES	512	/* most pages in a PAGES frame */
#define FRAME_MAX_RUNS	65536	/* most runs in a list; 512 in a PAGES frame */
#define ROUNDS_MAX	1000	/* most rounds; they are numbered from 1 on, without a gap */

/* A cookie is the round and the id of the object that the frame is about; Setup announces ids. */
#define FRAME_COOKIE(round, object)	((uint64_t)(round) << 32 | (uint32_t)(object))
#define FRAME_ROUND_OF(cookie)	((uint32_t)((cookie) >> 32))
#define FRAME_OBJECT_OF(cookie)	((uint32_t)(cookie))

/**
 * struct frame - a frame as received, pages still on the connection
 * @runs: owned by the struct; valid until the next frame_recv() with it
 */
struct frame {
	enum frame_kind kind;
	uint32_t nr_runs;
	uint64_t nr_pages;
	uint64_t cookie;
	struct splice_vm_run *runs;
	uint32_t cap_runs;
};

/**
 * frame_recv() - head and runs of the next frame, checked
 * @timeout_ms: for the first byte; -1 waits for as long as it takes. For what follows it is waited
 *	until the connection ends: a source may be slow in the middle of a frame
 *
 * Checks the magic, counts against the limits, alignment, order (ascending, not overlapping),
 * user space, sum of pages. Return: 1 a frame; 0 clean end of the stream; -1 failure
 */
int frame_recv(const struct conn *conn, int timeout_ms, struct frame *frame, struct error *err);
void frame_free(struct frame *frame);

/** frame_send() - a frame without pages; longer lists are split */
int frame_send(const struct conn *conn, enum frame_kind kind, uint64_t cookie,
	       const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err);

/**
 * frame_send_pages() - a PAGES frame from memory of ours
 * @runs: at most FRAME_MAX_PAGES, of at most so many pages in all
 * @data: their pages, one behind the other
 */
int frame_send_pages(const struct conn *conn, uint64_t cookie, const struct splice_vm_run *runs,
		     uint32_t nr_runs, const void *data, struct error *err);

/** frame_send_copy() - a PAGES frame of one run from memory of ours (slow path) */
int frame_send_copy(const struct conn *conn, uint64_t cookie, uint64_t addr,
		    uint32_t nr_pages, const void *data, struct error *err);

#endif
