// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include "criu/page_stream.h"

static ssize_t read_some(const struct page_stream *stream, void *to, size_t bytes)
{
	ssize_t n;

	if (stream->tls)
		return tls_read(stream->tls, to, bytes);
	do
		n = recv(stream->fd, to, bytes, 0);
	while (n < 0 && errno == EINTR);
	return n;
}

int page_stream_read(const struct page_stream *stream, void *to, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = read_some(stream, (uint8_t *)to + done, bytes - done);

		if (n < 0)
			return -1;
		if (!n && done)
			errno = ECONNRESET;
		if (!n)
			return done ? -1 : 0;
		done += n;
	}
	return 1;
}

int page_stream_write(const struct page_stream *stream, const void *from, size_t bytes, bool more)
{
	const uint8_t *at = from;

	if (stream->tls)
		return tls_write(stream->tls, from, bytes);
	while (bytes) {
		ssize_t n = send(stream->fd, at, bytes, MSG_NOSIGNAL | (more ? MSG_MORE : 0));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += n;
		bytes -= n;
	}
	return 0;
}
