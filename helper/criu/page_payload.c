// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/big_pipe.h"
#include "base/io.h"
#include "base/page.h"
#include "criu/page_payload.h"

#define BUF_PAGES	64UL

int page_payload_init(struct page_payload *payload)
{
	*payload = PAGE_PAYLOAD_NONE;
	payload->buf = malloc(BUF_PAGES * PAGE_BYTES);
	if (payload->buf && !big_pipe_open(payload->pipe))
		return 0;
	free(payload->buf);
	*payload = PAGE_PAYLOAD_NONE;
	return -1;
}

void page_payload_free(struct page_payload *payload)
{
	big_pipe_close(payload->pipe);
	free(payload->buf);
	*payload = PAGE_PAYLOAD_NONE;
}

static enum page_taken take_spliced(struct page_payload *payload, int fd, uint64_t bytes, int to)
{
	while (bytes) {
		ssize_t n = splice(fd, NULL, payload->pipe[1], NULL,
				   bytes < BIG_PIPE_BYTES ? bytes : BIG_PIPE_BYTES, SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			errno = ECONNRESET;
		if (n <= 0)
			return PAGE_TAKEN_LOST;
		if (big_pipe_drain(payload->pipe, to, n))
			return PAGE_TAKEN_UNWRITTEN;
		bytes -= n;
	}
	return PAGE_TAKEN;
}

static bool read_all(const struct page_stream *stream, void *to, size_t bytes)
{
	int ret = page_stream_read(stream, to, bytes);

	if (!ret)
		errno = ECONNRESET;
	return ret > 0;
}

static enum page_taken read_packed(const struct page_stream *stream, uint8_t *page)
{
	char block[PAGE_BYTES];
	uint32_t bytes;

	if (!read_all(stream, &bytes, sizeof(bytes)))
		return PAGE_TAKEN_LOST;
	if (bytes > PAGE_BYTES)
		return PAGE_TAKEN_DAMAGED;
	if (!bytes)
		memset(page, 0, PAGE_BYTES);
	else if (!read_all(stream, bytes < PAGE_BYTES ? block : (char *)page, bytes))
		return PAGE_TAKEN_LOST;
	else if (bytes < PAGE_BYTES &&
		 LZ4_decompress_safe(block, (char *)page, bytes, PAGE_BYTES) != (int)PAGE_BYTES)
		return PAGE_TAKEN_DAMAGED;
	return PAGE_TAKEN;
}

static enum page_taken read_pages(const struct page_stream *stream, bool packed, uint8_t *to,
				  size_t nr)
{
	enum page_taken ret = PAGE_TAKEN;

	if (!packed)
		return read_all(stream, to, nr * PAGE_BYTES) ? PAGE_TAKEN : PAGE_TAKEN_LOST;
	for (size_t i = 0; i < nr && ret == PAGE_TAKEN; i++)
		ret = read_packed(stream, to + i * PAGE_BYTES);
	return ret;
}

enum page_taken page_payload_take(struct page_payload *payload, const struct page_stream *stream,
				  const struct page_command *command, int to)
{
	bool packed = command->id == PAGE_COMMAND_ADD_COMPRESSED;
	enum page_taken ret = PAGE_TAKEN;
	uint64_t left = command->nr_pages;

	if (!packed && !stream->tls)
		return take_spliced(payload, stream->fd, left * PAGE_BYTES, to);
	while (left && ret == PAGE_TAKEN) {
		size_t nr = left < BUF_PAGES ? left : BUF_PAGES;

		ret = read_pages(stream, packed, payload->buf, nr);
		if (ret == PAGE_TAKEN && io_write_all(to, payload->buf, nr * PAGE_BYTES))
			ret = PAGE_TAKEN_UNWRITTEN;
		left -= nr;
	}
	return ret;
}
