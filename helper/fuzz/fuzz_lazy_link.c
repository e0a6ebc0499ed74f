// SPDX-License-Identifier: GPL-2.0
/*
 * Answers of a page server. Input: the form of commands, then steps: a GET of some pages, or a chunk of bytes that
 * the page server sends.
 */
#include <string.h>
#include "base/page.h"
#include "fuzz/common.h"
#include "services/lazy_link.h"

#define TASK	77

/** struct heard - what has come, and what was asked for and has not come */
static struct heard {
	uint64_t came, asked;
} heard;

static const uint8_t page[PAGE_BYTES];

static int came(void *owner, uint64_t addr, uint64_t nr_pages, const void *pages, struct error *err)
{
	uint8_t sum = 0;

	fuzz_assert(owner == &heard);
	fuzz_assert(addr % PAGE_BYTES == 0 && nr_pages && nr_pages <= LAZY_LINK_PAGES);
	for (size_t i = 0; i < nr_pages * PAGE_BYTES; i++)
		sum += ((const uint8_t *)pages)[i];
	heard.came += nr_pages + (sum & 0);
	fuzz_assert(heard.came <= heard.asked);
	return 0;
}

/* Return: false when the connection is of no more use */
static bool hear(struct lazy_link *link)
{
	struct error err = { 0 };
	int ret;

	do {
		ret = lazy_link_receive(link, came, &err);
	} while (ret > 0);
	fuzz_error_fits(ret, &err);
	fuzz_assert(ret >= 0 || err.code == CODE_NETWORK || err.code == CODE_PEER);
	fuzz_assert((err.code == CODE_PEER) == link->wrong);
	fuzz_assert(heard.came + link->asked == heard.asked);
	return !ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fuzz_pipe pipe = fuzz_pipe_open();
	struct lazy_link link;
	struct error err = { 0 };

	heard = (struct heard){ .came = 0 };
	if (lazy_link_init(&link, &err)) {
		fuzz_pipe_end(&pipe);
		return 0;
	}
	link.form = fuzz_byte(&in) & 1 ? PAGE_COMMAND_WIDE : PAGE_COMMAND_NARROW;
	lazy_link_use(&link, pipe.fd, NULL);
	while (in.size) {
		uint8_t step = fuzz_byte(&in);

		if (step & 1) {
			uint64_t nr_pages = (step >> 1) % LAZY_LINK_PAGES + 1;

			if (lazy_link_ask(&link, &heard, TASK, (uint64_t)fuzz_byte(&in) * PAGE_BYTES, nr_pages, &err))
				break;
			heard.asked += nr_pages;
			if (lazy_link_send(&link, &err))
				break;
		} else {
			struct fuzz_input said = fuzz_chunk(&in);

			fuzz_pipe_put(&pipe, said.data, said.size);
			/* pages are long: their bytes need not be in the input */
			if (step & 2)
				for (int i = 0; i < 4; i++)
					fuzz_pipe_put(&pipe, page, PAGE_BYTES);
			if (!hear(&link))
				break;
		}
	}
	fuzz_pipe_end(&pipe);
	lazy_link_free(&link);
	return 0;
}
