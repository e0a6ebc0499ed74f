// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include "services/image_pour.h"

#define LOOK_MS	500	/* how soon a wait sees @stop */

/* Return: bytes, or -1 with errno */
static ssize_t write_some(const struct image_pour *pour, uint64_t bytes)
{
	const struct stored_image *image = pour->image;
	off_t at = pour->at;

	if (image->fd < 0)
		return write(pour->fd, image->data + at, bytes);
	/* by reference: CRIU's read() makes the only copy */
	return splice(image->fd, &at, pour->fd, NULL, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

int image_pour_fill(struct image_pour *pour, uint64_t bytes)
{
	uint64_t end = pour->at + bytes;

	while (pour->at < end) {
		ssize_t n = write_some(pour, end - pour->at);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0 && errno != EINTR)
			return -1;
		if (n > 0)
			pour->at += n;
	}
	return 1;
}

bool image_pour_wait(const struct image_pour *pour, short events)
{
	struct pollfd pfd = { .fd = pour->fd, .events = events };

	while (!atomic_load(pour->stop)) {
		poll(&pfd, 1, LOOK_MS);
		if (pfd.revents & POLLERR)
			return false;
		if (pfd.revents & events)
			return true;
	}
	return false;
}

int image_pour_all(struct image_pour *pour)
{
	int ret;

	while (!(ret = image_pour_fill(pour, pour->image->bytes - pour->at)))
		if (!image_pour_wait(pour, POLLOUT))
			return -1;
	return ret;
}
