/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whether the pages of one sender are compressed. That pays where the link is slower than the compressor, and the pages
 * shrink. All three are measured: the link by the first pages, which go as they are; each codec by some pieces behind
 * them. At the end of each round the sender may think again (compress_end_round()).
 *
 * The pages have to be read for that, so the module's references are given up while a codec is in use.
 *
 * The urgent connection is not compressed: a page that a fault waits for is alone, and its 4 KiB are 0.3 ms of a link of
 * 100 Mbit/s, where the round trip, and the neighbours behind it, take longer.
 */
#ifndef MIGRATE_SOURCE_COMPRESS_H
#define MIGRATE_SOURCE_COMPRESS_H

#include <jansson.h>
#include "wire/link_rate.h"
#include "wire/packed.h"

/** enum compress_ask - what the user asked for; @COMPRESS_SPARED: nothing, and pages go by reference */
enum compress_ask { COMPRESS_AUTO, COMPRESS_OFF, COMPRESS_ZSTD, COMPRESS_LZ4, COMPRESS_SPARED };

/**
 * enum compress_state - what goes on
 * @COMPRESS_FIXED: nothing is measured: packer.codec stays
 * @COMPRESS_WARM: the link comes up to its speed
 * @COMPRESS_LINK: the link is measured
 * @COMPRESS_SAMPLE: the codecs are
 * @COMPRESS_CHOSEN: until the round ends
 */
enum compress_state { COMPRESS_FIXED, COMPRESS_WARM, COMPRESS_LINK, COMPRESS_SAMPLE, COMPRESS_CHOSEN };

/** struct compress_sample - of one codec: bytes, what became of them, how long that took */
struct compress_sample {
	uint64_t raw, packed, ns;
};

/**
 * struct compress - of one sender, and of its thread
 * @ask: see there
 * @limit: bytes a second that --bandwidth allows for; 0: no limit
 * @codecs: CODEC_BIT() of those that both ends know; set by compress_agree()
 * @packer: of these pages
 * @rate: of the connection
 * @codec: the choice; @packer.codec is another one while samples are taken
 * @link: bytes a second, as of the last choice; 0: not measured
 * @waits: it was the destination that took no more
 * @from: packer's counters when the sample, or the round, began
 * @sample: what the last choice was made of
 * @step: pieces of COMPRESS_SAMPLE so far
 * @changes: how often the choice was another one than before
 * @why: the reason, for people
 */
struct compress {
	enum compress_ask ask;
	uint64_t limit;
	uint32_t codecs;
	struct packer packer;
	struct link_rate rate;
	enum compress_state state;
	enum codec codec;
	double link;
	bool waits;
	struct compress_sample from[CODEC_LZ4 + 1], sample[CODEC_LZ4 + 1];
	uint32_t step, changes;
	char why[160];
};

/** compress_find() - enum compress_ask by its name; -1: there is none */
int compress_find(const char *name);

/** compress_offer() - CODEC_BIT() of those that Setup is to name */
uint32_t compress_offer(enum compress_ask ask);
/**
 * compress_agree() - the destination takes @codecs; pages go over @conn
 *
 * -1 with CODE_REFUSED when the user named a codec that the destination does not take. Nothing is compressed before.
 */
int compress_agree(struct compress *compress, uint32_t codecs, const struct conn *conn, struct error *err);
void compress_destroy(struct compress *compress);

/** compress_packer() - for what is sent next. @compress may be NULL, here and below */
static inline struct packer *compress_packer(struct compress *compress)
{
	return compress ? &compress->packer : NULL;
}

/** compress_pages() - how many pages, @most at most, to send before the next call of compress_end() */
uint64_t compress_pages(const struct compress *compress, uint64_t most);

/** struct compress_mark - where a piece began */
struct compress_mark {
	uint64_t bytes, saved;
};

/** compress_begin() - a piece is sent next; @bytes: of pages that were sent so far */
struct compress_mark compress_begin(struct compress *compress, uint64_t bytes);
/** compress_end() - it was sent: @bytes are now sent. Return: how many bytes of it the link had to carry */
uint64_t compress_end(struct compress *compress, const struct compress_mark *mark, uint64_t bytes);

/** compress_end_round() - the destination has all of the round: the choice may be another one from here on */
void compress_end_round(struct compress *compress);

/** compress_add() - @sum, of a sender with several connections, gets what one of them compressed; the first one's choice counts */
void compress_add(struct compress *sum, const struct compress *one);

/** compress_json(), compress_print() - for the result */
json_t *compress_json(const struct compress *compress);
void compress_print(const struct compress *compress);

#endif
