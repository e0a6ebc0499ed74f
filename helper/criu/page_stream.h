/* SPDX-License-Identifier: GPL-2.0 */
/* The bytes of a page server's connection, plain or by TLS. */
#ifndef MIGRATE_CRIU_PAGE_STREAM_H
#define MIGRATE_CRIU_PAGE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include "criu/tls_trust.h"

/** struct page_stream - @fd: a blocking stream socket; @tls: NULL: plain. The struct owns neither */
struct page_stream {
	int fd;
	struct tls *tls;
};

/**
 * page_stream_read() - read all @bytes
 * Return: 1; 0 at the end of the stream before the first byte; -1 with errno
 */
int page_stream_read(const struct page_stream *stream, void *to, size_t bytes);

/**
 * page_stream_write() - write all @bytes; by TLS as records of their own
 * @more: other bytes follow at once: they may share a packet with these
 * Return: 0; -1 with errno
 */
int page_stream_write(const struct page_stream *stream, const void *from, size_t bytes, bool more);

#endif
