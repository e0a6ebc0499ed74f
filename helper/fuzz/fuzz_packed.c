// SPDX-License-Identifier: GPL-2.0
/*
 * Compressed frames. Input: a byte of flags, then the bytes on the connection. The same bytes are also given to each codec, without
 * a frame around them: few inputs guess a digest.
 */
#include <string.h>
#include <unistd.h>
#include "base/page.h"
#include "fuzz/common.h"
#include "wire/packed.h"

#define FLAG_ZSTD	1	/* was agreed on */
#define FLAG_LZ4	2
#define PAGES_SHIFT	2	/* how many pages each codec is to make, from here on */

/* Exactly as large as what is to come out: a byte more is found. */
static uint8_t *room_for(size_t bytes)
{
	uint8_t *room = malloc(bytes);

	fuzz_assert(room);
	return room;
}

static void expand(struct unpacker *unpacker, const struct conn *conn, const struct frame *frame,
		   struct error *err)
{
	size_t bytes = frame->nr_pages * PAGE_BYTES;
	uint8_t *to;
	int ret;

	fuzz_assert(frame->nr_pages && frame->nr_pages <= FRAME_PACKED_PAGES && frame->nr_runs <= FRAME_PACKED_PAGES);
	ret = unpacker_recv(unpacker, conn, frame, err);
	fuzz_error_fits(ret, err);
	if (ret)
		return;
	fuzz_assert(unpacker->codecs & CODEC_BIT(unpacker->head.codec) && unpacker->head.bytes < bytes);
	to = room_for(bytes);
	ret = unpacker_expand(unpacker, frame, to, err);
	fuzz_error_fits(ret, err);
	free(to);
}

static void take_frames(uint8_t flags, struct fuzz_input in)
{
	struct unpacker unpacker = {
		.codecs = (flags & FLAG_ZSTD ? CODEC_BIT(CODEC_ZSTD) : 0) | (flags & FLAG_LZ4 ? CODEC_BIT(CODEC_LZ4) : 0),
	};
	struct fuzz_pipe pipe = fuzz_pipe_open();
	struct conn conn = { .fd = pipe.fd };
	struct frame frame = { 0 };
	struct error err = { 0 };

	fuzz_pipe_put(&pipe, in.data, in.size);
	fuzz_pipe_end(&pipe);
	fuzz_assert(!unpacker_init(&unpacker, &err));
	while (!error_is_set(&err) && frame_recv(&conn, 0, &frame, &err) == 1)
		if (frame.kind == FRAME_PACKED)
			expand(&unpacker, &conn, &frame, &err);
	unpacker_destroy(&unpacker);
	frame_free(&frame);
	conn_close(&conn);
}

static void take_bytes(uint8_t flags, struct fuzz_input in)
{
	size_t bytes = ((flags >> PAGES_SHIFT) + 1) * PAGE_BYTES;
	struct codec_in codec = { 0 };
	struct error err = { 0 };
	uint8_t *to = room_for(bytes), *packed = room_for(in.size + 1);

	fuzz_assert(!codec_in_init(&codec, &err));
	memcpy(packed, in.data, in.size);
	codec_unpack(&codec, CODEC_ZSTD, packed, in.size, to, bytes);
	codec_unpack(&codec, CODEC_LZ4, packed, in.size, to, bytes);
	codec_in_destroy(&codec);
	free(packed);
	free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t flags = fuzz_byte(&in);
	int fds = fuzz_fds();

	take_frames(flags, in);
	take_bytes(flags, in);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
