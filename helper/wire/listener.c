// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/clock.h"
#include "wire/listener.h"

void listener_init(struct listener *listener, int fd)
{
	*listener = (struct listener){ .fd = fd };
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int listener_poll_fd(const struct listener *listener)
{
	return clock_now_ms() < listener->rests_until_ms ? -1 : listener->fd;
}

/* The caller is still in the queue after such an error. */
static bool is_short(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

int listener_accept(struct listener *listener, struct sockaddr_storage *addr, socklen_t *len)
{
	int fd = accept4(listener->fd, (void *)addr, len, SOCK_CLOEXEC);

	if (fd < 0 && is_short(errno))
		listener->rests_until_ms = clock_now_ms() + LISTENER_REST_MS;
	return fd;
}

void listener_close(struct listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}
