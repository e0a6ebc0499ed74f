// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include "base/page.h"
#include "base/report.h"
#include "source/compress.h"

#define MIB	1048576.0
#define MS	1000000UL

#define WARM_BYTES	(1UL << 20)
#define WARM_NS		(200 * MS)	/* some round trips of a long link */
#define LINK_BYTES	(4UL << 20)
#define LINK_NS		(20 * MS)
#define LINK_MOST_NS	(500 * MS)
#define LINK_PAGES	1024UL		/* of a piece, at most */
#define PIECES		20		/* a second */
#define SAMPLE_BYTES	(1UL << 20)	/* of each codec */
#define BETWEEN_PAGES	256UL		/* that go as they are, at most, so that samples are of several places */
#define STEPS		3		/* zstd, lz4, between */
#define FASTEST		1e9		/* bytes a second that no codec here makes of real memory */
#define GAIN		1.25		/* less is not worth both machines' time */
#define BUSY		0.8		/* of the time: the compressor is what is slow */

static const char *const names[] = {
	[COMPRESS_AUTO] = "auto", [COMPRESS_OFF] = "off", [COMPRESS_ZSTD] = "zstd", [COMPRESS_LZ4] = "lz4",
	[COMPRESS_SPARED] = "off",
};

int compress_find(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

uint32_t compress_offer(enum compress_ask ask)
{
	if (ask == COMPRESS_AUTO)
		return CODEC_ALL;
	return ask == COMPRESS_OFF || ask == COMPRESS_SPARED ? 0 : CODEC_BIT(codec_find(names[ask]));
}

static const char *say_why(struct compress *compress, const char *why)
{
	snprintf(compress->why, sizeof(compress->why), "%s", why);
	return compress->why;
}

int compress_agree(struct compress *compress, uint32_t codecs, const struct conn *conn, struct error *err)
{
	compress->codecs = codecs & compress_offer(compress->ask);
	compress->rate.conn = conn;
	compress->state = COMPRESS_FIXED;
	if (compress->ask == COMPRESS_OFF || compress->ask == COMPRESS_SPARED) {
		say_why(compress, compress->ask == COMPRESS_OFF ? "--compress off says so" :
			"pages go by reference; --compress auto measures whether that is slower");
		return 0;
	}
	if (!compress->codecs && compress->ask != COMPRESS_AUTO)
		return error_set(err, CODE_REFUSED, "leave --compress out, or have the same version of migrate-helper there",
				 "the destination takes no pages that %s compressed", names[compress->ask]);
	if (!compress->codecs) {
		say_why(compress, "the destination's version takes no compressed pages");
		return 0;
	}
	if (packer_init(&compress->packer, err))
		return -1;
	if (compress->ask == COMPRESS_AUTO) {
		compress->state = COMPRESS_WARM;
		say_why(compress, "too little was sent to measure the link");
		return 0;
	}
	compress->codec = compress->packer.codec = codec_find(names[compress->ask]);
	say_why(compress, "--compress says so");
	return 0;
}

void compress_destroy(struct compress *compress)
{
	packer_destroy(&compress->packer);
}

/* Of a piece of COMPRESS_SAMPLE. A codec that the destination lacks has none. */
static enum codec sampled_codec(const struct compress *compress)
{
	enum codec codec = CODEC_ZSTD + compress->step % STEPS;

	return codec <= CODEC_LZ4 && compress->codecs & CODEC_BIT(codec) ? codec : CODEC_NONE;
}

/* A slow link is not measured by pieces that it needs seconds for. */
static uint64_t short_piece(const struct compress *compress, uint64_t most)
{
	uint64_t pages = compress->link / PIECES / PAGE_BYTES;

	if (pages < FRAME_PACKED_PAGES)
		return FRAME_PACKED_PAGES;
	return pages < most ? pages : most;
}

uint64_t compress_pages(const struct compress *compress, uint64_t most)
{
	uint64_t pages = most;

	if (!compress)
		return most;
	if (compress->state == COMPRESS_WARM || compress->state == COMPRESS_LINK)
		pages = short_piece(compress, LINK_PAGES);
	else if (compress->state == COMPRESS_SAMPLE)
		pages = sampled_codec(compress) ? FRAME_PACKED_PAGES : short_piece(compress, BETWEEN_PAGES);
	return pages < most ? pages : most;
}

struct compress_mark compress_begin(struct compress *compress, uint64_t bytes)
{
	struct compress_mark mark = { .bytes = bytes };

	if (!compress)
		return mark;
	mark.saved = compress->packer.saved;
	if (compress->state == COMPRESS_SAMPLE)
		compress->packer.codec = sampled_codec(compress);
	else if (compress->state != COMPRESS_FIXED)
		compress->packer.codec = compress->state == COMPRESS_CHOSEN ? compress->codec : CODEC_NONE;
	if (compress->rate.conn)
		link_rate_begin(&compress->rate);
	return mark;
}

/* Count from here on. */
static void count_anew(struct compress *compress)
{
	const struct packer *packer = &compress->packer;

	link_rate_forget(&compress->rate);
	for (enum codec codec = CODEC_ZSTD; codec <= CODEC_LZ4; codec++)
		compress->from[codec] = (struct compress_sample){
			packer->raw[codec], packer->packed[codec], packer->ns[codec],
		};
}

static struct compress_sample counted(const struct compress *compress, enum codec codec)
{
	const struct compress_sample *from = &compress->from[codec];
	const struct packer *packer = &compress->packer;

	return (struct compress_sample){
		packer->raw[codec] - from->raw, packer->packed[codec] - from->packed, packer->ns[codec] - from->ns,
	};
}

static double speed(const struct compress_sample *sample)
{
	return sample->ns ? sample->raw * 1e9 / sample->ns : 0;
}

static double ratio(const struct compress_sample *sample)
{
	return sample->packed ? (double)sample->raw / sample->packed : 1;
}

/*
 * Bytes of memory a second. One thread compresses and sends: a slow link's queue is never empty meanwhile, and what
 * compressing takes comes on top of a fast one. The sum is right for the latter, and errs little for the former.
 */
static double expected(const struct compress *compress, enum codec codec)
{
	const struct compress_sample *sample = &compress->sample[codec];

	return 1 / (1 / speed(sample) + 1 / (compress->link * ratio(sample)));
}

static enum codec best_codec(const struct compress *compress)
{
	enum codec best = CODEC_NONE;

	for (enum codec codec = CODEC_ZSTD; codec <= CODEC_LZ4; codec++)
		if (compress->sample[codec].ns &&
		    (!best || expected(compress, codec) > expected(compress, best)))
			best = codec;
	return best;
}

static bool is_worth_sampling(const struct compress *compress)
{
	return compress->link < FASTEST && !compress->waits;
}

static void choose(struct compress *compress)
{
	enum codec best = is_worth_sampling(compress) ? best_codec(compress) : CODEC_NONE;
	const struct compress_sample *sample = &compress->sample[best];
	bool pays = best && expected(compress, best) > compress->link * GAIN;
	enum codec before = compress->codec;
	char what[80];

	if (best)
		snprintf(what, sizeof(what), "%s %.0f MiB/s and %.1f to 1", codec_name(best),
			 speed(sample) / MIB, ratio(sample));
	else
		snprintf(what, sizeof(what), "%s", compress->waits ? "and the destination takes no more" :
			 "which no compressor is");
	snprintf(compress->why, sizeof(compress->why), "the link is %.1f MiB/s fast, %s", compress->link / MIB, what);
	compress->codec = pays ? best : CODEC_NONE;
	compress->state = COMPRESS_CHOSEN;
	if (compress->codec != before) {
		compress->changes++;
		report_say("memory goes %s from here on: %s",
			   pays ? codec_name(compress->codec) : "uncompressed", compress->why);
	}
	count_anew(compress);
}

static void take_link(struct compress *compress)
{
	compress->link = link_rate(&compress->rate);
	compress->waits = link_rate_is_peers(&compress->rate);
	if (!compress->limit || compress->link < compress->limit)
		return;
	compress->link = compress->limit;
	compress->waits = false;
}

static void begin_sample(struct compress *compress)
{
	take_link(compress);
	if (!is_worth_sampling(compress)) {
		choose(compress);
		return;
	}
	compress->state = COMPRESS_SAMPLE;
	compress->step = 0;
	count_anew(compress);
}

static void next_sample(struct compress *compress)
{
	compress->step++;
	for (enum codec codec = CODEC_ZSTD; codec <= CODEC_LZ4; codec++) {
		compress->sample[codec] = counted(compress, codec);
		if (compress->codecs & CODEC_BIT(codec) && compress->sample[codec].raw < SAMPLE_BYTES)
			return;
	}
	choose(compress);
}

/* What goes behind --bandwidth needs no time of the link's. */
static bool is_measured(const struct compress *compress)
{
	const struct link_rate *rate = &compress->rate;

	if (rate->left >= LINK_BYTES && (rate->ns >= LINK_NS || compress->limit))
		return true;
	return rate->left && rate->ns >= LINK_MOST_NS;
}

static void advance(struct compress *compress)
{
	const struct link_rate *rate = &compress->rate;

	if (compress->state == COMPRESS_WARM && (rate->left >= WARM_BYTES || rate->ns >= WARM_NS)) {
		take_link(compress);
		compress->state = COMPRESS_LINK;
		count_anew(compress);
	} else if (compress->state == COMPRESS_LINK && is_measured(compress)) {
		begin_sample(compress);
	} else if (compress->state == COMPRESS_SAMPLE) {
		next_sample(compress);
	}
}

uint64_t compress_end(struct compress *compress, const struct compress_mark *mark, uint64_t bytes)
{
	uint64_t carried = bytes - mark->bytes;

	if (!compress)
		return carried;
	carried -= compress->packer.saved - mark->saved;
	if (compress->rate.conn)
		link_rate_end(&compress->rate, carried);
	advance(compress);
	return carried;
}

void compress_end_round(struct compress *compress)
{
	struct compress_sample round;

	if (!compress || compress->state != COMPRESS_CHOSEN || compress->rate.left < LINK_BYTES)
		return;
	if (!compress->codec) {
		begin_sample(compress);
		return;
	}
	round = counted(compress, compress->codec);
	if (round.ns > compress->rate.ns * BUSY) {
		/* the link waited: how fast it is only pages that are not compressed can tell */
		compress->state = COMPRESS_LINK;
		count_anew(compress);
		return;
	}
	compress->sample[compress->codec] = round;
	take_link(compress);
	choose(compress);
}

/* Of all that was compressed. */
static struct compress_sample used(const struct compress *compress, enum codec codec)
{
	const struct packer *packer = &compress->packer;

	return (struct compress_sample){ packer->raw[codec], packer->packed[codec], packer->ns[codec] };
}

void compress_add(struct compress *sum, const struct compress *one)
{
	if (!*sum->why) {
		sum->codec = one->codec;
		sum->waits = one->waits;
		memcpy(sum->sample, one->sample, sizeof(sum->sample));
		memcpy(sum->why, one->why, sizeof(sum->why));
	}
	sum->link += one->link;
	sum->changes += one->changes;
	for (int codec = 0; codec <= CODEC_LZ4; codec++) {
		sum->packer.raw[codec] += one->packer.raw[codec];
		sum->packer.packed[codec] += one->packer.packed[codec];
		sum->packer.ns[codec] += one->packer.ns[codec];
	}
	sum->packer.saved += one->packer.saved;
}

json_t *compress_json(const struct compress *compress)
{
	enum codec codec = compress->codec ?: best_codec(compress);
	struct compress_sample sample = used(compress, codec);

	return json_pack("{s:s,s:s,s:s,s:f,s:f,s:f,s:I,s:I,s:i}",
			 "asked", names[compress->ask], "used", codec_name(compress->codec),
			 "why", compress->why,
			 "link_mib_per_s", compress->link / MIB,
			 "compressor_mib_per_s", speed(&sample) / MIB,
			 "ratio", ratio(&sample),
			 "compressed_bytes", (json_int_t)(used(compress, CODEC_ZSTD).raw + used(compress, CODEC_LZ4).raw),
			 "saved_bytes", (json_int_t)compress->packer.saved,
			 "changes", (int)compress->changes);
}

void compress_print(const struct compress *compress)
{
	report_print("%-24s %10s", "compression", codec_name(compress->codec));
	if (compress->packer.saved)
		report_print(", %.1f MiB saved", compress->packer.saved / MIB);
	report_print(" (%s)\n", compress->why);
}
