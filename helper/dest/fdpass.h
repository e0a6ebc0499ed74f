/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages with descriptors over a SOCK_SEQPACKET socket pair.
 */
#ifndef MIGRATE_DEST_FDPASS_H
#define MIGRATE_DEST_FDPASS_H

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

#endif
