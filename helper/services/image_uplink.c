// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/thread.h"
#include "services/image_uplink.h"

static void lose(struct image_uplink *up, const struct error *why)
{
	pthread_mutex_lock(&up->lock);
	if (!up->lost)
		up->err = *why;
	up->lost = true;
	for (size_t i = 0; i < IMAGE_DUMPS_MAX; i++)
		if (up->dumps[i].state != UPLINK_FREE)
			eventfd_write(up->dumps[i].wake_fd, 1);
	pthread_cond_broadcast(&up->changed);
	pthread_mutex_unlock(&up->lock);
	conn_shutdown(&up->conn);
	if (up->on_lost)
		up->on_lost(up->ctx);
}

static int take_answer(struct image_uplink *up, const struct image_frame *frame, struct error *err)
{
	struct uplink_dump *dump = &up->dumps[frame->number];
	int ret = 0;

	if (frame->kind != IMAGE_SEALED && frame->kind != IMAGE_REFUSED)
		return error_set(err, CODE_PEER, NULL, "the cache sent a frame of a proxy");
	pthread_mutex_lock(&up->lock);
	if (frame->kind == IMAGE_REFUSED) {
		/* of a dump that has ended meanwhile it says nothing */
		if (dump->state == UPLINK_OPEN) {
			dump->state = UPLINK_REFUSED;
			memcpy(dump->reason, frame->text, sizeof(dump->reason));
			eventfd_write(dump->wake_fd, 1);
		}
	} else if (dump->state == UPLINK_OPEN) {
		dump->state = UPLINK_SEALED;
	} else {
		ret = error_set(err, CODE_PEER, NULL, "the cache answered what nobody asked");
	}
	pthread_cond_broadcast(&up->changed);
	pthread_mutex_unlock(&up->lock);
	return ret;
}

void image_uplink_run(struct image_uplink *up)
{
	struct error err = { 0 };
	struct image_frame frame;
	int ret;

	do {
		ret = image_frame_recv(&up->conn, &frame, &err);
		if (ret > 0 && take_answer(up, &frame, &err))
			ret = -1;
	} while (ret > 0);
	error_set(&err, CODE_NETWORK, NULL, "the cache closed the connection");
	lose(up, &err);
}

static void *reader_body(void *up)
{
	image_uplink_run(up);
	return NULL;
}

int image_uplink_greet(struct image_uplink *up, int fd, struct error *err)
{
	up->conn = (struct conn){ .fd = fd };
	pthread_mutex_init(&up->sending, NULL);
	pthread_mutex_init(&up->lock, NULL);
	pthread_cond_init(&up->changed, NULL);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	conn_tune(fd);
	if (!image_frame_greet(&up->conn, IMAGE_GREET_MS, err))
		return 0;
	conn_close(&up->conn);
	return -1;
}

int image_uplink_open(struct image_uplink *up, int fd, struct error *err)
{
	if (image_uplink_greet(up, fd, err))
		return -1;
	if (!thread_start(&up->reader, reader_body, up, err))
		return 0;
	conn_close(&up->conn);
	return -1;
}

void image_uplink_cut(struct image_uplink *up)
{
	conn_shutdown(&up->conn);
}

void image_uplink_close(struct image_uplink *up)
{
	image_uplink_cut(up);
	pthread_join(up->reader, NULL);
	conn_close(&up->conn);
}

/* A thread needs the cache from here on, up to end_wait(). */
static void begin_wait(struct image_uplink *up)
{
	if (!atomic_fetch_add(&up->waiting, 1))
		atomic_store(&up->moved_ms, clock_now_ms());
}

static void end_wait(struct image_uplink *up)
{
	atomic_store(&up->moved_ms, clock_now_ms());
	atomic_fetch_sub(&up->waiting, 1);
}

void image_uplink_limit(struct image_uplink *up, unsigned long limit_s)
{
	struct error why = { 0 };

	if (!limit_s || !atomic_load(&up->waiting) ||
	    clock_now_ms() - atomic_load(&up->moved_ms) < (int64_t)limit_s * 1000)
		return;
	error_set(&why, CODE_NETWORK, "see --timeout",
		  "the cache took nothing for %lu s: it stands still, or waits for memory", limit_s);
	lose(up, &why);
}

static int send_frame(struct image_uplink *up, const struct image_frame *frame, struct error *err)
{
	int ret;

	begin_wait(up);
	pthread_mutex_lock(&up->sending);
	ret = image_frame_send(&up->conn, frame, err);
	pthread_mutex_unlock(&up->sending);
	end_wait(up);
	return ret;
}

/* The caller holds the lock. */
static int why_lost(struct image_uplink *up, struct error *err)
{
	return error_set(err, up->err.code, up->err.hint, "%s", up->err.what);
}

/* Return: a number that is free, now taken, or -1 */
static int take_dump(struct image_uplink *up, int wake_fd, struct error *err)
{
	int number = -1;

	pthread_mutex_lock(&up->lock);
	/* in turns: an answer about a dump that was given up may still be under way */
	for (unsigned int i = 0; i < IMAGE_DUMPS_MAX && number < 0; i++, up->next++)
		if (up->dumps[up->next % IMAGE_DUMPS_MAX].state == UPLINK_FREE)
			number = up->next % IMAGE_DUMPS_MAX;
	if (up->lost)
		number = why_lost(up, err);
	else if (number < 0)
		error_set(err, CODE_NOT_READY, NULL, "too many dumps at a time");
	else
		up->dumps[number] = (struct uplink_dump){ .state = UPLINK_OPEN, .wake_fd = wake_fd };
	pthread_mutex_unlock(&up->lock);
	return number;
}

int image_uplink_begin(struct image_uplink *up, const char *id, int wake_fd, struct error *err)
{
	struct image_frame frame = { .kind = IMAGE_DUMP };
	int dump = take_dump(up, wake_fd, err);

	if (dump < 0)
		return -1;
	frame.number = dump;
	strcpy(frame.text, id);
	if (!send_frame(up, &frame, err))
		return dump;
	image_uplink_finish(up, dump, false, err);
	return -1;
}

void image_uplink_watch(struct image_uplink *up, int dump, int wake_fd)
{
	pthread_mutex_lock(&up->lock);
	up->dumps[dump].wake_fd = wake_fd;
	pthread_mutex_unlock(&up->lock);
}

int image_uplink_check(struct image_uplink *up, int dump, struct error *err)
{
	int ret = 0;

	pthread_mutex_lock(&up->lock);
	if (up->dumps[dump].state == UPLINK_REFUSED)
		ret = error_set(err, CODE_PEER, NULL, "the cache refuses the dump: %s",
				up->dumps[dump].reason);
	else if (up->lost)
		ret = why_lost(up, err);
	pthread_mutex_unlock(&up->lock);
	return ret;
}

static int take_image(struct image_uplink *up, struct error *err)
{
	int number = 0;

	pthread_mutex_lock(&up->lock);
	while (number < (int)IMAGES_OPEN_MAX && up->images[number])
		number++;
	if (number == IMAGES_OPEN_MAX)
		number = error_set(err, CODE_NOT_READY, NULL, "too many images are open at a time");
	else
		up->images[number] = true;
	pthread_mutex_unlock(&up->lock);
	return number;
}

void image_uplink_forget(struct image_uplink *up, int image)
{
	pthread_mutex_lock(&up->lock);
	up->images[image] = false;
	pthread_mutex_unlock(&up->lock);
}

int image_uplink_image(struct image_uplink *up, int dump, const char *name, struct error *err)
{
	struct image_frame frame = { .kind = IMAGE_OPEN, .dump = dump };
	int image = take_image(up, err);

	if (image < 0)
		return -1;
	frame.number = image;
	strcpy(frame.text, name);
	if (!send_frame(up, &frame, err))
		return image;
	image_uplink_forget(up, image);
	return -1;
}

static int splice_all(int from, int to, uint32_t bytes)
{
	while (bytes) {
		ssize_t n = splice(from, NULL, to, NULL, bytes, SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes -= n;
	}
	return 0;
}

int image_uplink_data(struct image_uplink *up, int image, int pipe_fd, uint32_t bytes,
		      struct error *err)
{
	struct image_frame frame = { .kind = IMAGE_DATA, .number = image, .bytes = bytes };
	int ret;

	begin_wait(up);
	pthread_mutex_lock(&up->sending);
	ret = image_frame_send(&up->conn, &frame, err);
	if (!ret && splice_all(pipe_fd, up->conn.fd, bytes)) {
		ret = error_errno(err, CODE_NETWORK, NULL, "link lost while sending");
		/* a part of a frame was sent: nothing can follow it */
		image_uplink_cut(up);
	}
	pthread_mutex_unlock(&up->sending);
	end_wait(up);
	return ret;
}

int image_uplink_image_end(struct image_uplink *up, int image, uint64_t size, struct error *err)
{
	struct image_frame frame = { .kind = IMAGE_END, .number = image, .size = size };
	int ret = send_frame(up, &frame, err);

	image_uplink_forget(up, image);
	return ret;
}

int image_uplink_seal(struct image_uplink *up, int dump, uint64_t images, struct error *err)
{
	struct image_frame frame = { .kind = IMAGE_SEAL, .number = dump, .size = images };

	if (image_uplink_check(up, dump, err) || send_frame(up, &frame, err))
		return -1;
	begin_wait(up);
	pthread_mutex_lock(&up->lock);
	while (up->dumps[dump].state == UPLINK_OPEN && !up->lost)
		pthread_cond_wait(&up->changed, &up->lock);
	pthread_mutex_unlock(&up->lock);
	end_wait(up);
	return image_uplink_check(up, dump, err);
}

int image_uplink_finish(struct image_uplink *up, int dump, bool commit, struct error *err)
{
	struct image_frame frame = { .kind = commit ? IMAGE_COMMIT : IMAGE_ABORT, .number = dump };
	int ret = send_frame(up, &frame, err);

	pthread_mutex_lock(&up->lock);
	up->dumps[dump].state = UPLINK_FREE;
	pthread_mutex_unlock(&up->lock);
	return ret;
}
