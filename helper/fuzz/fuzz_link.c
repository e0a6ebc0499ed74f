// SPDX-License-Identifier: GPL-2.0
/*
 * The connection of image-proxy at image-cache. Input: frames, each a byte of which the lower half is the kind and the
 * upper half the number; 0: raw bytes. Then what the kind takes: the number of bytes of DATA is a le16, of which
 * the rest of the input gives the first ones.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/report.h"
#include "fuzz/common.h"
#include "services/image_downlink.h"

#define MAGIC		0x49565300U
#define DATA_MAX	(96U << 10)

static void put_head(struct fuzz_pipe *pipe, uint32_t kind, uint32_t number, uint32_t bytes)
{
	uint32_t head[] = { MAGIC + kind, number, bytes };

	fuzz_pipe_put(pipe, head, sizeof(head));
}

static void put_frame(struct fuzz_pipe *pipe, struct fuzz_input *in)
{
	static const uint8_t content[DATA_MAX];
	uint8_t byte = fuzz_byte(in), kind = byte & 15, number = byte >> 4;
	uint32_t dump, bytes;
	uint64_t size;
	struct fuzz_input text;

	switch (kind) {
	case IMAGE_DATA:
		bytes = (fuzz_byte(in) | fuzz_byte(in) << 8) * 2;
		put_head(pipe, kind, number, bytes);
		fuzz_pipe_put(pipe, content, bytes < DATA_MAX ? bytes : DATA_MAX);
		break;
	case IMAGE_OPEN:
		dump = fuzz_byte(in);
		text = fuzz_take(in, fuzz_byte(in) & 31);
		put_head(pipe, kind, number, sizeof(dump) + text.size);
		fuzz_pipe_put(pipe, &dump, sizeof(dump));
		fuzz_pipe_put(pipe, text.data, text.size);
		break;
	case IMAGE_END:
	case IMAGE_SEAL:
		size = (fuzz_byte(in) | fuzz_byte(in) << 8) * (kind == IMAGE_END ? 2 : 1);
		put_head(pipe, kind, number, sizeof(size));
		fuzz_pipe_put(pipe, &size, sizeof(size));
		break;
	case 0:
		text = fuzz_chunk(in);
		fuzz_pipe_put(pipe, text.data, text.size);
		break;
	default:
		text = fuzz_take(in, kind == IMAGE_DUMP ? fuzz_byte(in) & 7 : 0);
		put_head(pipe, kind, number, text.size);
		fuzz_pipe_put(pipe, text.data, text.size);
	}
}

/* What the store says it holds is what its images have. */
static void check_store(struct image_store *store)
{
	uint64_t used = 0;

	for (struct stored_dump *dump = store->dumps; dump; dump = dump->next) {
		fuzz_assert(dump->state == DUMP_COMPLETE || dump->state == DUMP_DOUBT);
		fuzz_assert(dump->nr_whole == dump->nr_images);
		used += dump->bytes + (1 + dump->nr_images) * STORED_OVERHEAD;
	}
	fuzz_assert(used == store->used && used <= store->max_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image_downlink down;
	struct fuzz_input in = { data, size };
	struct image_store store;
	struct fuzz_pipe pipe;
	int fds = fuzz_fds();

	pipe = fuzz_pipe_open();
	put_head(&pipe, IMAGE_HELLO, IMAGE_LINK_VERSION, 0);
	while (in.size)
		put_frame(&pipe, &in);
	/* the cache's answers go there */
	shutdown(pipe.far, SHUT_WR);
	image_store_init(&store, 256 << 10);
	down = (struct image_downlink){ .store = &store, .conn = { .fd = pipe.fd } };
	down.null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	fuzz_assert(down.null_fd >= 0 && !pipe2(down.pipe, O_CLOEXEC));
	image_downlink_run(&down);
	check_store(&store);
	image_store_free(&store);
	fuzz_assert(!store.used);
	close(pipe.fd);
	close(pipe.far);
	close(down.null_fd);
	close(down.pipe[0]);
	close(down.pipe[1]);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
