// SPDX-License-Identifier: GPL-2.0
/*
 * Answers of image-cache to image-proxy. Input: how many dumps have begun, a byte with a bit for each of the first that have
 * ended again, then frames, each a byte of which the lower half is the kind and the upper half the number; 0: raw bytes,
 * a chunk. A text follows that of a refusal, with its length in a byte.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fuzz/common.h"
#include "services/image_uplink.h"

#define MAGIC		0x49565300U
#define DUMPS_MAX	15

static void put_head(struct fuzz_pipe *pipe, uint32_t kind, uint32_t number, uint32_t bytes)
{
	uint32_t head[] = { MAGIC + kind, number, bytes };

	fuzz_pipe_put(pipe, head, sizeof(head));
}

static void put_frame(struct fuzz_pipe *pipe, struct fuzz_input *in)
{
	uint8_t byte = fuzz_byte(in), kind = byte & 15, number = byte >> 4;
	struct fuzz_input text = { 0 };

	if (!kind) {
		text = fuzz_chunk(in);
		fuzz_pipe_put(pipe, text.data, text.size);
		return;
	}
	if (kind == IMAGE_REFUSED)
		text = fuzz_take(in, fuzz_byte(in));
	put_head(pipe, kind, number, text.size);
	fuzz_pipe_put(pipe, text.data, text.size);
}

static void count(void *ctx)
{
	++*(int *)ctx;
}

static void begin_dumps(struct image_uplink *up, int nr, uint8_t ended)
{
	struct error err = { 0 };

	for (int i = 0; i < nr; i++)
		fuzz_assert(image_uplink_begin(up, "a", -1, &err) == i);
	for (int i = 0; i < nr && i < 8; i++)
		fuzz_assert(!(ended & 1 << i) || !image_uplink_finish(up, i, false, &err));
}

static void check_dumps(struct image_uplink *up, int nr, uint8_t ended)
{
	for (int i = 0; i < (int)IMAGE_DUMPS_MAX; i++) {
		const struct uplink_dump *dump = &up->dumps[i];
		bool begun = i < nr && !(i < 8 && ended & 1 << i);
		struct error err = { 0 };

		/* an answer that nobody waits for changes nothing */
		fuzz_assert(begun == (dump->state != UPLINK_FREE));
		fuzz_assert((dump->state == UPLINK_REFUSED) == !!*dump->reason);
		fuzz_assert(memchr(dump->reason, 0, sizeof(dump->reason)));
		/* without a connection no dump is whole, also one that the cache had sealed */
		fuzz_assert(!begun || (image_uplink_seal(up, i, 1, &err) && error_is_set(&err)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image_uplink up;
	struct fuzz_input in = { data, size };
	int fds = fuzz_fds(), losses = 0, nr = fuzz_byte(&in) % (DUMPS_MAX + 1);
	uint8_t ended = fuzz_byte(&in);
	struct fuzz_pipe pipe = fuzz_pipe_open();
	struct error err = { 0 };

	put_head(&pipe, IMAGE_HELLO, IMAGE_LINK_VERSION, 0);
	while (in.size)
		put_frame(&pipe, &in);
	/* what the proxy says goes there */
	shutdown(pipe.far, SHUT_WR);
	up = (struct image_uplink){ .on_lost = count, .ctx = &losses };
	fuzz_assert(!image_uplink_greet(&up, pipe.fd, &err));
	begin_dumps(&up, nr, ended);
	image_uplink_run(&up);
	fuzz_assert(up.lost && error_is_set(&up.err) && losses == 1);
	check_dumps(&up, nr, ended);
	conn_close(&up.conn);
	close(pipe.far);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
