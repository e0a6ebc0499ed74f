/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Descriptors that come with bytes over a UNIX socket (SCM_RIGHTS): with whole messages over a
 * SOCK_SEQPACKET socket pair of this program, or with bytes of a stream that CRIU writes.
 */
#ifndef MIGRATE_BASE_FDPASS_H
#define MIGRATE_BASE_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX	4	/* most descriptors in one message */

/** fdpass_pair() - a socket pair, close-on-exec; -1 with errno */
int fdpass_pair(int pair[2]);

/** fdpass_send() - send one message; waits for room in the socket; -1 with errno */
int fdpass_send(int sock, const void *msg, size_t bytes, const int *fds, size_t nr_fds);

/** fdpass_try_send() - fdpass_send() that never waits: EAGAIN when the socket has no room */
int fdpass_try_send(int sock, const void *msg, size_t bytes, const int *fds, size_t nr_fds);

/**
 * fdpass_recv() - receive one message of exactly @bytes
 * @fds: FDPASS_MAX entries, close-on-exec; -1 in each entry without a descriptor
 * @timeout_ms: -1: no time-out
 * Return: 1 a message, 0 the other end is closed, -1 with errno (ETIMEDOUT, EPROTO, …)
 */
int fdpass_recv(int sock, void *msg, size_t bytes, int *fds, int timeout_ms);

/**
 * fdpass_recv_bytes() - receive up to @bytes of a stream, like recv()
 * @fd: the first descriptor of the message, close-on-exec, or -1; further descriptors are closed
 * @sender: the process that wrote it, when @sock has SO_PASSCRED; else, or when it has no number here, 0. May be NULL
 * Return: bytes; 0 at the end of the stream; -1 with errno
 */
ssize_t fdpass_recv_bytes(int sock, void *buf, size_t bytes, int *fd, pid_t *sender);

/** fdpass_peek_bytes() - fdpass_recv_bytes() that leaves all in the socket; @fd is a duplicate, and no byte behind it is read */
ssize_t fdpass_peek_bytes(int sock, void *buf, size_t bytes, int *fd);

#endif
