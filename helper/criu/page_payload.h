/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages that follow a command of a page server's protocol, on their way into a file.
 *
 * Pages of a plain connection go by reference. Those that came by TLS are copied. Those that CRIU 4.3 has
 * compressed (ADD_COMPRESSED) become plain pages: each has a 32-bit length, then 0 bytes (a page of zeros), one
 * page, or a block of LZ4 that becomes one page.
 */
#ifndef MIGRATE_CRIU_PAGE_PAYLOAD_H
#define MIGRATE_CRIU_PAGE_PAYLOAD_H

#include <stdint.h>
#include "criu/page_command.h"
#include "criu/page_stream.h"

/** struct page_payload - @pipe: empty between two calls; @buf: for copies. Zeroed and unused by its owner */
struct page_payload {
	int pipe[2];
	uint8_t *buf;
};

#define PAGE_PAYLOAD_NONE	((struct page_payload){ .pipe = { -1, -1 } })

/**
 * enum page_taken - how page_payload_take() ended
 * @PAGE_TAKEN: all pages are in the file
 * @PAGE_TAKEN_LOST: the connection failed, or ended
 * @PAGE_TAKEN_DAMAGED: no compressed page is like this
 * @PAGE_TAKEN_UNWRITTEN: the file takes no more; errno is set
 */
enum page_taken { PAGE_TAKEN, PAGE_TAKEN_LOST, PAGE_TAKEN_DAMAGED, PAGE_TAKEN_UNWRITTEN };

/** page_payload_init() - 0, or -1 with errno */
int page_payload_init(struct page_payload *payload);

/** page_payload_free() - may be called twice */
void page_payload_free(struct page_payload *payload);

/**
 * page_payload_take() - move the pages that follow @command, which has PAGEMAP_PRESENT
 * @to: file, at its position
 */
enum page_taken page_payload_take(struct page_payload *payload, const struct page_stream *stream,
				  const struct page_command *command, int to);

#endif
