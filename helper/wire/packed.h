/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PACKED frames: the pages of some runs, compressed. Behind the runs of such a frame is a struct packed_head, and then the
 * compressed bytes, which are fewer than those of the pages.
 */
#ifndef MIGRATE_WIRE_PACKED_H
#define MIGRATE_WIRE_PACKED_H

#include "wire/codec.h"
#include "wire/stream.h"

#define PACKED_BYTES	(FRAME_PACKED_PAGES * PAGE_BYTES)

/** struct packed_head - little-endian on the wire */
struct packed_head {
	uint32_t codec;		/* enum codec */
	uint32_t bytes;		/* compressed */
	uint64_t digest;	/* XXH3_64bits() of the pages */
};

/**
 * struct packer - compresses what one sender sends; of one thread at a time
 * @codec: for the next pages; CODEC_NONE: they go as PAGES
 * @out: kept from frame to frame
 * @buf: one frame
 * @raw, @packed, @ns: bytes given to each codec, what became of them, and how long that took. Pages that did not shrink
 *	are in all three, as they are
 * @saved: bytes that did not go
 */
struct packer {
	enum codec codec;
	struct codec_out out;
	uint8_t *buf;
	uint64_t raw[CODEC_LZ4 + 1], packed[CODEC_LZ4 + 1], ns[CODEC_LZ4 + 1];
	uint64_t saved;
};

int packer_init(struct packer *packer, struct error *err);
void packer_destroy(struct packer *packer);

/** packer_is_on() - the next pages are to be compressed: they have to be read. @packer may be NULL */
static inline bool packer_is_on(const struct packer *packer)
{
	return packer && packer->codec;
}

/**
 * packer_send() - frame_send_pages(), or as PACKED frames what shrinks
 * @packer: may be NULL
 */
int packer_send(struct packer *packer, const struct conn *conn, uint64_t cookie,
		const struct splice_vm_run *runs, uint32_t nr_runs, const void *data, struct error *err);

/**
 * struct unpacker - the other end; of one thread
 * @codecs: CODEC_BIT() of those that were agreed on
 * @buf: the compressed bytes of one frame
 */
struct unpacker {
	uint32_t codecs;
	struct codec_in in;
	uint8_t *buf;
	struct packed_head head;
};

/** unpacker_init() - nothing is allocated when nothing was agreed on. unpacker.codecs is set */
int unpacker_init(struct unpacker *unpacker, struct error *err);
void unpacker_destroy(struct unpacker *unpacker);

/** unpacker_recv() - take what is behind the runs of a PACKED frame off the connection */
int unpacker_recv(struct unpacker *unpacker, const struct conn *conn, const struct frame *frame,
		  struct error *err);
/** unpacker_expand() - the pages of that frame, to @to */
int unpacker_expand(const struct unpacker *unpacker, const struct frame *frame, void *to, struct error *err);

#endif
