// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "wire/codec.h"

#define ZSTD_LEVEL	1	/* of the levels that a link of 1 Gbit/s and more can wait for */

static const char *const names[] = {
	[CODEC_NONE] = "none", [CODEC_ZSTD] = "zstd", [CODEC_LZ4] = "lz4",
};

const char *codec_name(enum codec codec)
{
	return names[codec];
}

enum codec codec_find(const char *name)
{
	for (enum codec codec = CODEC_ZSTD; codec <= CODEC_LZ4; codec++)
		if (!strcmp(name, names[codec]))
			return codec;
	return CODEC_NONE;
}

_Static_assert((int)CODEC_ZSTD == (int)MIGRATE__COMPRESSION__COMPRESSION_ZSTD, "frames and messages say the same");
_Static_assert((int)CODEC_LZ4 == (int)MIGRATE__COMPRESSION__COMPRESSION_LZ4, "frames and messages say the same");

size_t codecs_say(uint32_t codecs, Migrate__Compression *list)
{
	size_t nr = 0;

	for (enum codec codec = CODEC_ZSTD; codec <= CODEC_LZ4; codec++)
		if (codecs & CODEC_BIT(codec))
			list[nr++] = (Migrate__Compression)codec;
	return nr;
}

uint32_t codecs_take(const Migrate__Compression *list, size_t nr)
{
	uint32_t codecs = 0;

	for (size_t i = 0; i < nr; i++)
		if ((uint32_t)list[i] >= CODEC_ZSTD && (uint32_t)list[i] <= CODEC_LZ4)
			codecs |= CODEC_BIT(list[i]);
	return codecs;
}

int codec_out_init(struct codec_out *out, struct error *err)
{
	out->zstd = ZSTD_createCCtx();
	out->lz4 = malloc(LZ4_sizeofState());
	if (out->zstd && out->lz4 &&
	    !ZSTD_isError(ZSTD_CCtx_setParameter(out->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)))
		return 0;
	codec_out_destroy(out);
	return error_set(err, CODE_INTERNAL, NULL, "no memory to compress pages");
}

void codec_out_destroy(struct codec_out *out)
{
	ZSTD_freeCCtx(out->zstd);
	free(out->lz4);
	*out = (struct codec_out){ 0 };
}

size_t codec_pack(const struct codec_out *out, enum codec codec, const void *raw, size_t bytes,
		  void *packed, size_t room)
{
	size_t nr;
	int n;

	if (codec == CODEC_LZ4) {
		n = LZ4_compress_fast_extState(out->lz4, raw, packed, bytes, room, 1);
		return n > 0 ? n : 0;
	}
	nr = ZSTD_compress2(out->zstd, packed, room, raw, bytes);
	return ZSTD_isError(nr) ? 0 : nr;
}

int codec_in_init(struct codec_in *in, struct error *err)
{
	in->zstd = ZSTD_createDCtx();
	return in->zstd ? 0 : error_set(err, CODE_INTERNAL, NULL, "no memory to expand pages");
}

void codec_in_destroy(struct codec_in *in)
{
	ZSTD_freeDCtx(in->zstd);
	in->zstd = NULL;
}

/*
 * ZSTD_decompressDCtx() also takes several frames, frames to skip, and those of versions before 1.0, whose code few
 * people read any more. None of these are ours.
 */
static int unpack_zstd(const struct codec_in *in, const void *packed, size_t bytes, void *raw, size_t raw_bytes)
{
	uint32_t magic;

	if (bytes < sizeof(magic))
		return -1;
	memcpy(&magic, packed, sizeof(magic));
	if (le32toh(magic) != ZSTD_MAGICNUMBER || ZSTD_getFrameContentSize(packed, bytes) != raw_bytes ||
	    ZSTD_findFrameCompressedSize(packed, bytes) != bytes)
		return -1;
	return ZSTD_decompressDCtx(in->zstd, raw, raw_bytes, packed, bytes) == raw_bytes ? 0 : -1;
}

int codec_unpack(const struct codec_in *in, enum codec codec, const void *packed, size_t bytes,
		 void *raw, size_t raw_bytes)
{
	if (!bytes || bytes > CODEC_MAX_BYTES || raw_bytes > CODEC_MAX_BYTES)
		return -1;
	if (codec == CODEC_ZSTD)
		return unpack_zstd(in, packed, bytes, raw, raw_bytes);
	return LZ4_decompress_safe(packed, raw, bytes, raw_bytes) == (int)raw_bytes ? 0 : -1;
}
