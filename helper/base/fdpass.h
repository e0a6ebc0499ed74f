/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Descriptors that come with bytes over a UNIX socket (SCM_RIGHTS): whole messages over a
 * SOCK_SEQPACKET socket pair of ours, and bytes of a stream that another program writes.
 */
#ifndef MIGRATE_BASE_FDPASS_H
#define MIGRATE_BASE_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX	4	/* most descriptors in one message */

/** fdpass_pair() - a socket pair, close-on-exec; -1 with errno */
int fdpass_pair(int pair[2]);

/** fdpass_send() - one message; waits for room; -1 with errno */
int fdpass_send(int sock, const void *msg, size_t bytes, const int *fds, size_t nr_fds);

/** fdpass_try_send() - the same, but never waits: EAGAIN when there is no room */
int fdpass_try_send(int sock, const void *msg, size_t bytes, const int *fds, size_t nr_fds);

/**
 * fdpass_recv() - one message of exactly @bytes
 * @fds: FDPASS_MAX of them; those that did not come are -1; close-on-exec
 * @timeout_ms: -1 waits for as long as it takes
 * Return: 1 a message, 0 the other end is closed, -1 with errno (ETIMEDOUT, EPROTO, …)
 */
int fdpass_recv(int sock, void *msg, size_t bytes, int *fds, int timeout_ms);

/**
 * fdpass_recv_bytes() - up to @bytes of a stream, as recv() gets them
 * @fd: the first descriptor that came along, close-on-exec, or -1; others are closed
 * Return: bytes; 0 at the end of the stream; -1 with errno
 */
ssize_t fdpass_recv_bytes(int sock, void *buf, size_t bytes, int *fd);

#endif
