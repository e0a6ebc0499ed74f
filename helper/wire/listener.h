/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A listening socket in a poll() loop. When descriptors or memory are short, accept() fails and the caller stays in
 * the socket's queue, so that poll() returns at once, for ever. Such a listener rests for a moment.
 */
#ifndef MIGRATE_WIRE_LISTENER_H
#define MIGRATE_WIRE_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define LISTENER_REST_MS	200

/** struct listener - @fd: owned, non-blocking; @rests_until_ms: clock_now_ms() before which nobody is accepted */
struct listener {
	int fd;
	int64_t rests_until_ms;
};

/** listener_init() - @fd becomes non-blocking: a caller may hang up between poll() and accept() */
void listener_init(struct listener *listener, int fd);

/**
 * listener_poll_fd() - the descriptor to poll for callers; -1 while the listener rests
 *
 * A loop that polls with a time-out looks again after it.
 */
int listener_poll_fd(const struct listener *listener);

/**
 * listener_accept() - the next caller's descriptor, close-on-exec
 *
 * Return: -1 with errno when there is none, or the listener rests from now on
 */
int listener_accept(struct listener *listener, struct sockaddr_storage *addr, socklen_t *len);

void listener_close(struct listener *listener);

#endif
