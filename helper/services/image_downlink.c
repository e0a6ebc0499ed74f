// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/big_pipe.h"
#include "base/report.h"
#include "base/text.h"
#include "base/thread.h"
#include "services/image_chain.h"
#include "services/image_downlink.h"


static int wrong(struct image_downlink *down, const char *what)
{
	return error_set(&down->err, CODE_PEER, NULL, "the proxy sent %s", what);
}

static void tell(const struct stored_dump *dump, const char *event, const char *what)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%s: %s", dump->id, what);
	report_both(event, json_pack("{s:o,s:I,s:I}", "id", report_text(dump->id),
				     "images", (json_int_t)dump->nr_whole,
				     "bytes", (json_int_t)dump->bytes), text);
}

/* The images of the dump take nothing more, and free their memory now. */
static void drop(struct image_downlink *down, uint32_t number)
{
	for (size_t i = 0; i < IMAGES_OPEN_MAX; i++)
		if (down->images[i].taken && down->images[i].number == number)
			down->images[i].image = NULL;
	image_store_drop(down->store, down->dumps[number].dump);
	down->dumps[number].dump = NULL;
}

static int refuse(struct image_downlink *down, uint32_t number, const struct error *why)
{
	struct image_frame frame = { .kind = IMAGE_REFUSED, .number = number };
	struct downlink_dump *dump = &down->dumps[number];

	down->failed++;
	snprintf(frame.text, sizeof(frame.text), "%.*s", (int)IMAGE_NAME_BYTES, why->what);
	if (dump->dump) {
		tell(dump->dump, "refused", why->what);
		drop(down, number);
	}
	dump->refused = true;
	return image_frame_send(&down->conn, &frame, &down->err);
}

static int begin_dump(struct image_downlink *down, const struct image_frame *frame)
{
	struct downlink_dump *dump = &down->dumps[frame->number];
	struct error err = { 0 };

	if (dump->dump || dump->refused)
		return wrong(down, "a number of a dump that is taken");
	dump->dump = image_store_begin(down->store, frame->text, down->conn.fd, &err);
	return dump->dump ? 0 : refuse(down, frame->number, &err);
}

static int open_image(struct image_downlink *down, const struct image_frame *frame)
{
	struct downlink_image *image = &down->images[frame->number];
	struct downlink_dump *dump = &down->dumps[frame->dump];
	struct error err = { 0 };

	if (image->taken || (!dump->dump && !dump->refused))
		return wrong(down, "an image with a number that is taken, or of no dump");
	if (dump->dump && dump->dump->state != DUMP_COMING)
		return wrong(down, "an image of a dump that is sealed");
	*image = (struct downlink_image){ .number = frame->dump, .taken = true };
	if (dump->refused)
		return 0;
	image->image = image_store_image(down->store, dump->dump, frame->text, &err);
	return image->image ? 0 : refuse(down, frame->dump, &err);
}

static int throw_away(struct image_downlink *down, uint32_t bytes)
{
	while (bytes) {
		ssize_t n = splice(down->conn.fd, NULL, down->pipe[1], NULL, bytes, SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(&down->err, CODE_NETWORK, NULL, "the link is lost");
		bytes -= n;
		while (n > 0) {
			ssize_t gone = splice(down->pipe[0], NULL, down->null_fd, NULL, n, 0);

			if (gone <= 0)
				return error_errno(&down->err, CODE_INTERNAL, NULL, "cannot empty a pipe");
			n -= gone;
		}
	}
	return 0;
}

static int take_data(struct image_downlink *down, const struct image_frame *frame)
{
	struct downlink_image *image = &down->images[frame->number];
	struct error err = { 0 };

	if (!image->taken)
		return wrong(down, "data of no image");
	if (!image->image)
		return throw_away(down, frame->bytes);
	if (image_store_reserve(down->store, down->dumps[image->number].dump, image->image,
				frame->bytes, &err))
		return refuse(down, image->number, &err) ? -1 : throw_away(down, frame->bytes);
	if (!image_store_take(image->image, &down->conn, down->pipe, frame->bytes, &down->err))
		return 0;
	return -1;
}

static int end_image(struct image_downlink *down, const struct image_frame *frame)
{
	struct downlink_image *image = &down->images[frame->number];

	if (!image->taken)
		return wrong(down, "the end of no image");
	if (image->image && image->image->bytes != frame->size)
		return wrong(down, "an image with another size than it says");
	if (image->image)
		image_store_whole(down->store, down->dumps[image->number].dump, image->image);
	*image = (struct downlink_image){ 0 };
	return 0;
}

static int seal(struct image_downlink *down, const struct image_frame *frame)
{
	struct image_frame sealed = { .kind = IMAGE_SEALED, .number = frame->number };
	struct downlink_dump *dump = &down->dumps[frame->number];
	struct error err = { 0 };

	if (dump->refused)
		return 0;
	if (!dump->dump || dump->dump->state != DUMP_COMING)
		return wrong(down, "the seal of no dump");
	if (image_store_seal(down->store, dump->dump, frame->size, &err) ||
	    image_chain_flatten(down->store, dump->dump, &err))
		return refuse(down, frame->number, &err);
	return image_frame_send(&down->conn, &sealed, &down->err);
}

/* COMMIT or ABORT: the number is free again, with those of its images. */
static int finish(struct image_downlink *down, const struct image_frame *frame)
{
	struct downlink_dump *dump = &down->dumps[frame->number];
	bool commit = frame->kind == IMAGE_COMMIT;

	if ((!dump->dump && !dump->refused) ||
	    (commit && (!dump->dump || dump->dump->state != DUMP_SEALED)))
		return wrong(down, "the outcome of no dump");
	if (commit) {
		tell(dump->dump, "dump", "all images are here");
		down->complete++;
		down->bytes += dump->dump->bytes;
		image_store_commit(down->store, dump->dump);
	} else if (dump->dump) {
		tell(dump->dump, "void", "the dump failed; its images are void");
		down->failed++;
		drop(down, frame->number);
	}
	*dump = (struct downlink_dump){ 0 };
	for (size_t i = 0; i < IMAGES_OPEN_MAX; i++)
		if (down->images[i].taken && down->images[i].number == frame->number)
			down->images[i] = (struct downlink_image){ 0 };
	return 0;
}

static int obey(struct image_downlink *down, const struct image_frame *frame)
{
	switch (frame->kind) {
	case IMAGE_DUMP:
		return begin_dump(down, frame);
	case IMAGE_OPEN:
		return open_image(down, frame);
	case IMAGE_DATA:
		return take_data(down, frame);
	case IMAGE_END:
		return end_image(down, frame);
	case IMAGE_SEAL:
		return seal(down, frame);
	case IMAGE_COMMIT:
	case IMAGE_ABORT:
		return finish(down, frame);
	default:
		return wrong(down, "a frame of a cache");
	}
}

static void tell_lost(struct image_downlink *down)
{
	for (size_t i = 0; i < IMAGE_DUMPS_MAX; i++) {
		struct stored_dump *dump = down->dumps[i].dump;

		if (!dump)
			continue;
		down->failed++;
		if (dump->state == DUMP_SEALED)
			tell(dump, "doubt",
			     "the link was lost when all images were here, but not the outcome of criu dump: if it ended with 0 there, start criu restore here (again); else do not");
		else
			tell(dump, "void", "the link was lost; its images are void");
	}
}

void image_downlink_run(struct image_downlink *down)
{
	struct image_frame frame;
	bool greeted = !image_frame_greet(&down->conn, IMAGE_GREET_MS, &down->err);
	int ret = greeted ? 1 : -1;

	/* a stranger's connection says nothing of the proxy that a restore waits for */
	if (greeted)
		image_store_link(down->store, true);
	while (ret > 0) {
		ret = image_frame_recv(&down->conn, &frame, &down->err);
		if (ret > 0 && obey(down, &frame))
			ret = -1;
	}
	conn_shutdown(&down->conn);
	tell_lost(down);
	if (greeted)
		image_store_link(down->store, false);
}

static void *downlink_body(void *arg)
{
	struct image_downlink *down = arg;

	image_downlink_run(down);
	atomic_store(&down->ended, true);
	if (down->on_end)
		down->on_end(down->ctx);
	return NULL;
}

static int open_pipe(struct image_downlink *down, struct error *err)
{
	down->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (down->null_fd < 0 || big_pipe_open(down->pipe))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a pipe");
	return 0;
}

static void close_all(struct image_downlink *down)
{
	conn_close(&down->conn);
	big_pipe_close(down->pipe);
	if (down->null_fd >= 0)
		close(down->null_fd);
	down->started = false;
}

int image_downlink_open(struct image_downlink *down, struct image_store *store, int fd,
			struct error *err)
{
	down->store = store;
	down->conn = (struct conn){ .fd = fd };
	down->pipe[0] = -1;
	down->pipe[1] = -1;
	memset(down->dumps, 0, sizeof(down->dumps));
	memset(down->images, 0, sizeof(down->images));
	memset(&down->err, 0, sizeof(down->err));
	atomic_store(&down->ended, false);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	conn_tune(fd);
	liveness_init(&down->live, fd);
	if (!open_pipe(down, err) && !thread_start(&down->thread, downlink_body, down, err)) {
		down->started = true;
		return 0;
	}
	close_all(down);
	return -1;
}

void image_downlink_close(struct image_downlink *down)
{
	if (!down->started)
		return;
	conn_shutdown(&down->conn);
	pthread_join(down->thread, NULL);
	close_all(down);
}
