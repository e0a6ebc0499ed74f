// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include "services/image_pour.h"

#define LOOK_MS	500	/* how soon a wait sees @stop */

/* Return: the part with the byte @at */
static const struct image_part *find_part(const struct stored_image *image, uint64_t at)
{
	size_t low = 0, high = image->nr_parts;

	while (low + 1 < high) {
		size_t middle = low + (high - low) / 2;

		if (image->parts[middle].start <= at)
			low = middle;
		else
			high = middle;
	}
	return &image->parts[low];
}

/* Return: bytes, or -1 with errno */
static ssize_t write_some(const struct image_pour *pour, uint64_t bytes)
{
	const struct stored_image *image = pour->image;
	const struct image_part *part;
	off_t at = pour->at;

	if (image->nr_parts) {
		part = find_part(image, at);
		at -= part->start;
		if (bytes > part->bytes - at)
			bytes = part->bytes - at;
		at += part->at;
		image = part->from;
	}
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
