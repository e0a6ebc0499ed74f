/* SPDX-License-Identifier: GPL-2.0 */
/* Compression of a few pages, each time from nothing: no call needs what another one saw. */
#ifndef MIGRATE_WIRE_CODEC_H
#define MIGRATE_WIRE_CODEC_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "control.pb-c.h"

/** enum codec - a way to compress; the values are on the wire */
enum codec {
	CODEC_NONE = 0,
	CODEC_ZSTD = 1,	/* one frame of zstd, which says its length */
	CODEC_LZ4 = 2,	/* one block of lz4 */
};

#define CODEC_BIT(codec)	(1U << (codec))
#define CODEC_ALL	(CODEC_BIT(CODEC_ZSTD) | CODEC_BIT(CODEC_LZ4))
/** CODECS_SAID - room for all that a message may name */
#define CODECS_SAID	2

/** codecs_say() - @codecs as messages name them; @list: room for CODECS_SAID. Return: how many */
size_t codecs_say(uint32_t codecs, Migrate__Compression *list);
/** codecs_take() - those of a message that are known here, as CODEC_BIT() */
uint32_t codecs_take(const Migrate__Compression *list, size_t nr);

#define CODEC_MAX_BYTES	(256UL << 10)	/* of one call, uncompressed */

/** codec_name() - "zstd", "lz4" or "none" */
const char *codec_name(enum codec codec);
/** codec_find() - by its name; CODEC_NONE: there is no such codec */
enum codec codec_find(const char *name);

/** struct codec_out, struct codec_in - what a thread keeps from call to call; neither grows */
struct codec_out {
	struct ZSTD_CCtx_s *zstd;
	void *lz4;
};

struct codec_in {
	struct ZSTD_DCtx_s *zstd;
};

int codec_out_init(struct codec_out *out, struct error *err);
void codec_out_destroy(struct codec_out *out);

/**
 * codec_pack() - compress @bytes, at most CODEC_MAX_BYTES
 * Return: how many bytes are at @packed; 0: they do not fit into @room
 */
size_t codec_pack(const struct codec_out *out, enum codec codec, const void *raw, size_t bytes,
		  void *packed, size_t room);

int codec_in_init(struct codec_in *in, struct error *err);
void codec_in_destroy(struct codec_in *in);

/**
 * codec_unpack() - the same backwards, of bytes that a stranger may have made
 *
 * Writes nothing outside of the @raw_bytes at @raw. Return: 0, or -1: not exactly so many bytes came out
 */
int codec_unpack(const struct codec_in *in, enum codec codec, const void *packed, size_t bytes,
		 void *raw, size_t raw_bytes);

#endif
