// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/big_pipe.h"
#include "services/image_pour.h"
#include "services/remote_intake.h"
#include "services/stream_request.h"

#define LOOK_MS		500		/* how soon a wait sees the proxy's end, or the cache's refusal */
#define PIECE_MAX	(1U << 20)	/* bytes that one connection adds to an image, or that come without a pipe */

/* Return: bytes that are there, 0 at the end of the image, -1 with @err */
static int wait_for_bytes(const struct remote_intake *intake, int fd, struct error *err)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int bytes = 0;

	for (;;) {
		if (atomic_load(intake->stop))
			return error_set(err, CODE_ABORTED, NULL, "the proxy was ended");
		if (image_uplink_check(intake->remote->up, intake->remote->number, err))
			return -1;
		poll(&pfd, 1, LOOK_MS);
		if (ioctl(fd, FIONREAD, &bytes))
			return error_errno(err, CODE_INTERNAL, NULL, "cannot read an image");
		if (bytes || (pfd.revents & (POLLIN | POLLHUP | POLLERR)))
			return bytes;
	}
}

static int forward_some(struct remote_dump *remote, struct image_pour *pour, int number,
			const int pipe[2], struct error *err)
{
	uint64_t left = pour->image->bytes - pour->at, at = pour->at;

	/* what the pipe has no room for is filled in next */
	if (image_pour_fill(pour, left < BIG_PIPE_BYTES ? left : BIG_PIPE_BYTES) < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot read an image");
	return image_uplink_data(remote->up, number, pipe[0], pour->at - at, err);
}

static int forward_through(struct remote_dump *remote, const struct stored_image *image,
			   const int pipe[2], struct error *err)
{
	struct image_pour pour = { .image = image, .fd = pipe[1] };
	int number = image_uplink_image(remote->up, remote->number, image->name, err);

	if (number < 0)
		return -1;
	while (pour.at < image->bytes) {
		if (forward_some(remote, &pour, number, pipe, err)) {
			image_uplink_forget(remote->up, number);
			return -1;
		}
	}
	return image_uplink_image_end(remote->up, number, image->bytes, err);
}

int remote_intake_forward(struct remote_dump *remote, const struct stored_image *image,
			  struct error *err)
{
	int pipe[2], ret;

	if (big_pipe_open(pipe))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a pipe");
	fcntl(pipe[1], F_SETFL, fcntl(pipe[1], F_GETFL) | O_NONBLOCK);
	ret = forward_through(remote, image, pipe, err);
	big_pipe_close(pipe);
	return ret;
}

static int take_pipe(const struct remote_intake *intake, int fd, struct error *err)
{
	struct remote_dump *remote = intake->remote;
	int bytes;

	big_pipe_widen(fd);
	while ((bytes = wait_for_bytes(intake, fd, err)) > 0)
		if (image_store_reserve(&remote->store, remote->dump, intake->image, bytes, err) ||
		    image_store_take_pipe(intake->image, fd, bytes, err))
			return -1;
	return bytes;
}

/* Return: the number of @fd's bytes up to its end, which are at @data, or -1 with @err */
static ssize_t read_piece(const struct remote_intake *intake, int fd, uint8_t *data,
			  struct error *err)
{
	size_t done = 0;
	int bytes;

	while ((bytes = wait_for_bytes(intake, fd, err)) > 0) {
		ssize_t n = read(fd, data + done, PIECE_MAX - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, CODE_PEER, NULL, "more than %u bytes at a time", PIECE_MAX);
		done += n;
	}
	return bytes ? -1 : (ssize_t)done;
}

/* Pieces do not mix: one is added when it is there. */
static int add_piece(const struct remote_intake *intake, const uint8_t *data, size_t bytes,
		     struct error *err)
{
	struct remote_dump *remote = intake->remote;
	int ret;

	pthread_mutex_lock(&remote->lock);
	ret = image_store_reserve(&remote->store, remote->dump, intake->image, bytes, err) ? -1 :
	      image_store_add(intake->image, data, bytes, err);
	pthread_mutex_unlock(&remote->lock);
	return ret;
}

static int take_piece(const struct remote_intake *intake, int fd, struct error *err)
{
	uint8_t *data = malloc(PIECE_MAX);
	ssize_t bytes;
	int ret;

	if (!data)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for an image");
	bytes = read_piece(intake, fd, data, err);
	ret = bytes < 0 ? -1 : add_piece(intake, data, bytes, err);
	free(data);
	return ret;
}

/* Return: the descriptor that carries the image, or -1 with @err */
static int open_source(const struct remote_intake *intake, bool by_pipe, struct error *err)
{
	return by_pipe ? stream_pipe_read(intake->fd, O_RDONLY, NULL, err) : intake->fd;
}

static void close_source(const struct remote_intake *intake, int fd)
{
	if (fd >= 0 && fd != intake->fd)
		close(fd);
}

static int forward(struct remote_intake *intake, struct error *err)
{
	struct remote_dump *remote = intake->remote;

	image_store_whole(&remote->store, remote->dump, intake->image);
	pthread_mutex_lock(&remote->lock);
	intake->taken = true;
	pthread_cond_broadcast(&remote->changed);
	pthread_mutex_unlock(&remote->lock);
	return remote_intake_forward(remote, intake->image, err);
}

int remote_intake_write(struct remote_intake *intake, bool by_pipe, struct error *err)
{
	int fd = open_source(intake, by_pipe, err), ret = -1;

	if (fd >= 0)
		ret = by_pipe ? take_pipe(intake, fd, err) : take_piece(intake, fd, err);
	close_source(intake, fd);
	return ret ? -1 : forward(intake, err);
}

int remote_intake_append(const struct remote_intake *intake, bool by_pipe, struct error *err)
{
	int fd = open_source(intake, by_pipe, err), ret = -1;

	if (fd >= 0)
		ret = take_piece(intake, fd, err);
	close_source(intake, fd);
	return ret;
}
