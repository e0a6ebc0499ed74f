// SPDX-License-Identifier: GPL-2.0
/* Inputs of the targets that take frames of the memory and urgent connections. */
#include <endian.h>
#include "base/page.h"
#include "fuzz/corpus.h"
#include "wire/stream.h"

#define BASE		0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)
#define MM		7

static void put_head(struct bytes *to, uint32_t kind, uint32_t nr_runs, uint32_t nr_pages,
		     uint32_t round)
{
	struct splice_vm_batch head = {
		.magic = htole32(kind), .nr_runs = htole32(nr_runs),
		.nr_pages = htole32(nr_pages), .cookie = htole64(FRAME_COOKIE(round, MM)),
	};

	corpus_put(to, &head, sizeof(head));
}

static void put_run(struct bytes *to, uint64_t page, uint32_t nr_pages)
{
	struct splice_vm_run run = { .addr = htole64(AT(page)), .nr_pages = htole32(nr_pages) };

	corpus_put(to, &run, sizeof(run));
}

/* A frame of one run; of a PAGES frame each page is one byte. */
static void put_frame(struct bytes *to, uint32_t kind, uint64_t page, uint32_t nr_pages)
{
	put_head(to, kind, !!nr_pages, kind == FRAME_PAGES ? nr_pages : 0, 1);
	if (nr_pages)
		put_run(to, page, nr_pages);
	for (uint32_t i = 0; kind == FRAME_PAGES && i < nr_pages; i++)
		corpus_put_byte(to, i + 1);
}

/* The next pages of MM are OTHER's too. */
static void put_also(struct bytes *to, uint64_t page, uint32_t nr_pages)
{
	struct splice_vm_batch head = {
		.magic = htole32(FRAME_ALSO), .nr_runs = htole32(1),
		.cookie = htole64(FRAME_ALSO_COOKIE(MM, MM + 1)),
	};

	corpus_put(to, &head, sizeof(head));
	put_run(to, page, nr_pages);
}

static void frames_course(struct bytes *to, uint8_t flags)
{
	corpus_put_byte(to, flags);
	put_frame(to, FRAME_PAGES, 10, 4);
	put_frame(to, FRAME_PAGES, 98, 4);
	put_frame(to, FRAME_DROPPED, 13, 1);
	put_frame(to, FRAME_ZERO, 90, 40);
	put_frame(to, FRAME_ROUND, 0, 0);
	put_frame(to, FRAME_STALE, 10, 1);
	put_frame(to, FRAME_POPULATED, 8, 60);
	put_frame(to, FRAME_FINAL, 0, 0);
	put_also(to, 9, 30);
	put_frame(to, FRAME_PAGES, 8, 2);
	put_frame(to, FRAME_ZERO, 30, 20);
	put_frame(to, FRAME_LOST, 28, 6);
	put_frame(to, FRAME_PUSHED, 0, 0);
	put_frame(to, FRAME_ENDED, 0, 0);
}

void corpus_frames(void)
{
	struct bytes bytes = { .size = 0 };

	frames_course(&bytes, 0);
	corpus_save("frames", "whole-course", &bytes);
	bytes.size = 0;
	frames_course(&bytes, 2);
	corpus_save("frames", "sealed", &bytes);
	bytes.size = 0;
	frames_course(&bytes, 6);
	corpus_save("frames", "sealed-partly", &bytes);
	corpus_begin(&bytes, 1);
	put_frame(&bytes, FRAME_PAGES, 0, 2);
	put_frame(&bytes, FRAME_ZERO, 5, 2);
	put_frame(&bytes, FRAME_FINAL, 0, 0);
	corpus_save("frames", "urgent", &bytes);
	corpus_begin(&bytes, 0);
	put_frame(&bytes, FRAME_POPULATED, 0, ~0U);
	corpus_save("frames", "populated-huge", &bytes);
	corpus_begin(&bytes, 0);
	put_head(&bytes, FRAME_PAGES, 2, 3, 1);
	put_run(&bytes, 0, 1);
	put_run(&bytes, 200, 2);
	corpus_put(&bytes, "123", 3);
	put_head(&bytes, FRAME_PAGES, 1, 7, 2);
	put_run(&bytes, 150, 7);
	corpus_save("frames", "runs-then-outside", &bytes);
}

void corpus_requests(void)
{
	struct bytes bytes = { .size = 0 };

	put_frame(&bytes, FRAME_REQUEST, 0, 1);
	put_head(&bytes, FRAME_REQUEST, 2, 0, 0);
	put_run(&bytes, 10, 16);
	put_run(&bytes, 100, ~0U);
	corpus_save("requests", "two", &bytes);
	bytes.size = 0;
	put_frame(&bytes, FRAME_PAGES, 0, 1);
	corpus_save("requests", "pages", &bytes);
}
