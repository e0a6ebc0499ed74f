// SPDX-License-Identifier: GPL-2.0
/* Compressed frames, and what the codecs make of pages by themselves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/page.h"
#include "fuzz/corpus.h"
#include "fuzz/common.h"
#include "wire/packed.h"

#define BASE		0x7f0000000000UL
#define MM		7
#define PAGES		6
#define BOTH		3	/* flags of fuzz_packed: both codecs, one page */

static void fill(uint8_t *pages, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		pages[i] = "words that come again "[i % 22] + i / 1000 % 3;
}

/* As the source sends them, to a pipe. */
static void put_packed(struct bytes *to, enum codec codec)
{
	const struct splice_vm_run runs[] = {
		{ .addr = BASE + 10 * PAGE_BYTES, .nr_pages = 4 }, { .addr = BASE + 90 * PAGE_BYTES, .nr_pages = 2 },
	};
	uint8_t pages[PAGES * PAGE_BYTES], frame[2048];
	struct packer packer = { .codec = codec };
	struct fuzz_pipe pipe = fuzz_pipe_open();
	struct conn conn = { .fd = pipe.far };
	struct error err = { 0 };
	ssize_t n;

	fill(pages, sizeof(pages));
	if (packer_init(&packer, &err) ||
	    packer_send(&packer, &conn, FRAME_COOKIE(1, MM), runs, 2, pages, &err))
		abort();
	n = read(pipe.fd, frame, sizeof(frame));
	if (n <= 0 || n == sizeof(frame))
		abort();
	corpus_put(to, frame, n);
	packer_destroy(&packer);
	close(pipe.far);
	close(pipe.fd);
}

static void put_bytes(struct bytes *to, enum codec codec)
{
	uint8_t page[PAGE_BYTES], packed[1024];
	struct packer packer = { 0 };
	struct error err = { 0 };

	fill(page, sizeof(page));
	if (packer_init(&packer, &err))
		abort();
	corpus_put(to, packed, codec_pack(&packer.out, codec, page, sizeof(page), packed, sizeof(packed)));
	packer_destroy(&packer);
}

void corpus_packed(void)
{
	struct bytes bytes;

	for (enum codec codec = CODEC_ZSTD; codec <= CODEC_LZ4; codec++) {
		char name[40];

		corpus_begin(&bytes, BOTH);
		put_packed(&bytes, codec);
		put_packed(&bytes, codec);
		snprintf(name, sizeof(name), "frames-%s", codec_name(codec));
		corpus_save("packed", name, &bytes);
		corpus_begin(&bytes, BOTH);
		put_bytes(&bytes, codec);
		snprintf(name, sizeof(name), "bytes-%s", codec_name(codec));
		corpus_save("packed", name, &bytes);
		/* to a receiver */
		corpus_begin(&bytes, 0);
		put_packed(&bytes, codec);
		snprintf(name, sizeof(name), "packed-%s", codec_name(codec));
		corpus_save("frames", name, &bytes);
	}
}
