// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/big_pipe.h"
#include "base/clock.h"
#include "base/report.h"
#include "os/proc_tree.h"
#include "services/image_dump.h"
#include "services/image_fate.h"
#include "services/image_memory.h"
#include "services/remote_dump.h"
#include "services/stream_request.h"

#define PIPE_FULL	(64 << 10)
#define ROOM_MIN	32
#define OPEN_MS		10000	/* in its step post-dump CRIU has closed all images */
#define LAST_IMAGE	"inventory.img"

/** enum answer - to an action script that asks whether the images arrived */
enum answer { ANSWER_NOT_ASKED, ANSWER_ASKED, ANSWER_YES, ANSWER_NO };

/** struct dump_image - @fd: the pipe's read end; @last: it is LAST_IMAGE */
struct dump_image {
	int fd, number;
	uint64_t bytes;
	bool last, wide;
};

/**
 * struct image_dump - one dump
 * @number: at the uplink
 * @wake_fd: eventfd: refused, lost, or asked
 * @pipe: carries data from an image's pipe to the link: what came out of the first is a known number of bytes
 * @images: that are not at their end; @nr_pollfds: room in @pollfds
 * @whole: images that came to their end
 * @inventory: LAST_IMAGE did
 * @hung_up: CRIU's connection is at its end
 * @answer, @askers: under image_dumps.lock
 * @root_fd: pidfd of the program's root, of the one who asks, until @fate has it; -1: none
 * @confirmed: the answer was yes, and then @fate tells whether the program is gone
 * @asked_ms: since when the images that are open are waited for
 */
struct image_dump {
	struct image_dumps *dumps;
	struct image_client *client;
	int number, wake_fd, pipe[2];
	struct dump_image *images;
	struct pollfd *pollfds;
	size_t nr, room;
	uint64_t whole, bytes;
	bool inventory, hung_up, confirmed;
	enum answer answer;
	unsigned int askers;
	int64_t asked_ms;
	int root_fd;
	struct image_fate fate;
	struct error err;
};

void image_dumps_init(struct image_dumps *dumps, struct image_uplink *up,
		      struct image_tally *tally)
{
	*dumps = (struct image_dumps){ .up = up, .tally = tally };
	pthread_mutex_init(&dumps->lock, NULL);
	pthread_cond_init(&dumps->changed, NULL);
}

static int make_room(struct image_dump *dump)
{
	size_t room = dump->room ? dump->room * 2 : ROOM_MIN;
	struct dump_image *images;
	struct pollfd *pollfds;

	if (dump->nr < dump->room)
		return 0;
	images = reallocarray(dump->images, room, sizeof(*images));
	if (images)
		dump->images = images;
	/* two more are for CRIU's connection, and for @wake_fd */
	pollfds = reallocarray(dump->pollfds, room + 2, sizeof(*pollfds));
	if (pollfds)
		dump->pollfds = pollfds;
	if (!images || !pollfds)
		return error_set(&dump->err, CODE_INTERNAL, NULL, "no memory for an image");
	dump->room = room;
	return 0;
}

static int begin_image(struct image_dump *dump, const char *name)
{
	struct dump_image *image;
	int fd, number;

	if (make_room(dump))
		return -1;
	fd = stream_pipe_read(dump->client->fd, O_RDONLY, NULL, &dump->err);
	if (fd < 0)
		return -1;
	number = image_uplink_image(dump->dumps->up, dump->number, name, &dump->err);
	if (number < 0) {
		close(fd);
		return -1;
	}
	image = &dump->images[dump->nr++];
	*image = (struct dump_image){ .fd = fd, .number = number, .last = !strcmp(name, LAST_IMAGE) };
	return 0;
}

static int next_request(struct image_dump *dump)
{
	struct stream_request request;
	int ret = stream_request_read(dump->client->fd, &request, &dump->err);

	if (ret < 0)
		return -1;
	dump->hung_up = !ret;
	if (dump->hung_up)
		return 0;
	if (request.confirm)
		return error_set(&dump->err, CODE_PEER, NULL, "a dump asked as an action script");
	return begin_image(dump, request.name);
}

static int end_image(struct image_dump *dump, size_t at)
{
	struct dump_image image = dump->images[at];

	close(image.fd);
	dump->images[at] = dump->images[--dump->nr];
	dump->whole++;
	dump->bytes += image.bytes;
	dump->inventory |= image.last && image.bytes;
	return image_uplink_image_end(dump->dumps->up, image.number, image.bytes, &dump->err);
}

/* Return: 1 when data moved, 0 when there are none now, or the image is at its end */
static int forward(struct image_dump *dump, size_t at)
{
	struct dump_image *image = &dump->images[at];
	ssize_t n = splice(image->fd, NULL, dump->pipe[1], NULL, BIG_PIPE_BYTES,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return error_errno(&dump->err, CODE_INTERNAL, NULL, "cannot read an image");
	if (!n)
		return end_image(dump, at);
	if (n >= PIPE_FULL && !image->wide) {
		/* CRIU waits less often */
		big_pipe_widen(image->fd);
		image->wide = true;
	}
	image->bytes += n;
	return image_uplink_data(dump->dumps->up, image->number, dump->pipe[0], n, &dump->err) ?
	       -1 : 1;
}

static bool is_asked(struct image_dump *dump)
{
	bool asked;

	pthread_mutex_lock(&dump->dumps->lock);
	asked = dump->answer == ANSWER_ASKED;
	pthread_mutex_unlock(&dump->dumps->lock);
	return asked;
}

static void answer(struct image_dump *dump, enum answer answer)
{
	pthread_mutex_lock(&dump->dumps->lock);
	dump->answer = answer;
	pthread_cond_broadcast(&dump->dumps->changed);
	pthread_mutex_unlock(&dump->dumps->lock);
}

/* The cache has all images, whole. */
static int seal(struct image_dump *dump)
{
	struct image_memory *memory = dump->dumps->memory;
	uint64_t images = dump->whole;

	if (memory && image_memory_count(memory, &images, &dump->err))
		return -1;
	return image_uplink_seal(dump->dumps->up, dump->number, images, &dump->err);
}

static void watch_fate(struct image_dump *dump)
{
	pthread_mutex_lock(&dump->dumps->lock);
	image_fate_watch(&dump->fate, dump->client->pid, dump->root_fd, dump->dumps->leave_running);
	dump->root_fd = -1;
	pthread_mutex_unlock(&dump->dumps->lock);
}

/* The script asks: CRIU has written all, and waits. */
static int confirm(struct image_dump *dump)
{
	if (!dump->asked_ms)
		dump->asked_ms = clock_now_ms();
	if (dump->nr)
		return clock_now_ms() - dump->asked_ms < OPEN_MS ? 0 :
		       error_set(&dump->err, CODE_PEER, NULL, "images are still open after the dump");
	if (!dump->inventory)
		return error_set(&dump->err, CODE_PEER, NULL, "CRIU wrote no " LAST_IMAGE);
	if (dump->root_fd < 0)
		return image_fate_no_root(&dump->err);
	if (seal(dump))
		return -1;
	dump->confirmed = true;
	watch_fate(dump);
	answer(dump, ANSWER_YES);
	return 0;
}

static void wait_for_data(struct image_dump *dump)
{
	struct pollfd *fds = dump->pollfds;

	fds[0] = (struct pollfd){ .fd = dump->hung_up ? -1 : dump->client->fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = dump->wake_fd, .events = POLLIN };
	for (size_t i = 0; i < dump->nr; i++)
		fds[2 + i] = (struct pollfd){ .fd = dump->images[i].fd, .events = POLLIN };
	poll(fds, 2 + dump->nr, dump->asked_ms ? OPEN_MS : -1);
}

/* Return: 1 to go on, 0 when CRIU has hung up and all images came to their end */
static int step(struct image_dump *dump)
{
	eventfd_t ignored;
	size_t nr;

	wait_for_data(dump);
	if (dump->pollfds[1].revents)
		eventfd_read(dump->wake_fd, &ignored);
	if (image_uplink_check(dump->dumps->up, dump->number, &dump->err))
		return -1;
	/* from the last on: an image that ends leaves its place to the last one */
	nr = dump->nr;
	while (nr--)
		if (dump->pollfds[2 + nr].revents && forward(dump, nr) < 0)
			return -1;
	/* the name of an image was sent before CRIU writes into its pipe, and before the script asks */
	if (dump->pollfds[0].revents ? next_request(dump) : is_asked(dump) && confirm(dump))
		return -1;
	return !dump->hung_up || dump->nr;
}

static int finish(struct image_dump *dump)
{
	if (atomic_load(&dump->client->loop->stop))
		return error_set(&dump->err, CODE_ABORTED, NULL, "the proxy was ended");
	if (!dump->inventory)
		return error_set(&dump->err, CODE_CRIU, NULL, "CRIU ended before its dump was complete");
	return seal(dump);
}

static bool enter(struct image_dump *dump)
{
	struct image_dumps *dumps = dump->dumps;
	struct image_dump **place = NULL;

	pthread_mutex_lock(&dumps->lock);
	for (size_t i = 0; i < IMAGE_DUMPS_MAX; i++) {
		if (!dumps->running[i])
			place = &dumps->running[i];
		else if (dumps->running[i]->client->door == dump->client->door)
			error_set(&dump->err, CODE_PEER, "each dump at a time needs a directory of its own",
				  "another dump of \"%s\" is under way", dump->client->door->id);
	}
	if (!place)
		error_set(&dump->err, CODE_NOT_READY, NULL, "too many dumps at a time");
	if (!error_is_set(&dump->err))
		*place = dump;
	pthread_mutex_unlock(&dumps->lock);
	return !error_is_set(&dump->err);
}

/* No script finds the dump any more; those that wait get their answer. */
static void leave(struct image_dump *dump)
{
	struct image_dumps *dumps = dump->dumps;

	pthread_mutex_lock(&dumps->lock);
	for (size_t i = 0; i < IMAGE_DUMPS_MAX; i++)
		if (dumps->running[i] == dump)
			dumps->running[i] = NULL;
	if (dump->answer != ANSWER_YES)
		dump->answer = ANSWER_NO;
	pthread_cond_broadcast(&dumps->changed);
	while (dump->askers)
		pthread_cond_wait(&dumps->changed, &dumps->lock);
	pthread_mutex_unlock(&dumps->lock);
}

static void settle(const struct image_dump *dump)
{
	const struct image_outcome outcome = { .images = dump->whole, .bytes = dump->bytes,
					       .confirmed = dump->confirmed, .err = &dump->err };

	image_outcome_tell(&outcome, dump->client->door->id);
	image_tally_add(dump->dumps->tally, &outcome);
}

/* CRIU's next write fails, and so does its dump. */
static void drop_images(struct image_dump *dump)
{
	for (size_t i = 0; i < dump->nr; i++) {
		close(dump->images[i].fd);
		image_uplink_forget(dump->dumps->up, dump->images[i].number);
	}
	dump->nr = 0;
	shutdown(dump->client->fd, SHUT_RDWR);
}

static void end_at_cache(struct image_dump *dump, bool commit)
{
	struct error ignored = { 0 };

	image_uplink_finish(dump->dumps->up, dump->number, commit,
			    error_is_set(&dump->err) ? &ignored : &dump->err);
}

/* A yes that CRIU did not live to act on is none; after one that it acted on the cache has the only copy. */
static void obey_fate(struct image_dump *dump)
{
	switch (image_fate_wait(&dump->fate, &dump->client->loop->stop)) {
	case FATE_GONE:
		end_at_cache(dump, true);
		break;
	case FATE_STAYS:
		dump->confirmed = false;
		image_fate_error(&dump->err);
		end_at_cache(dump, false);
		break;
	default:
		/* without a word the dump is in doubt for the cache */
		error_set(&dump->err, CODE_ABORTED, NULL, "the proxy was ended");
	}
}

static void run(struct image_dump *dump, const char *first_image)
{
	struct image_dumps *dumps = dump->dumps;
	int ret;

	dump->number = dumps->memory ? image_memory_join(dumps->memory, dump->wake_fd, &dump->err) :
		       image_uplink_begin(dumps->up, dump->client->door->id, dump->wake_fd, &dump->err);
	if (dump->number < 0)
		return;
	ret = begin_image(dump, first_image) ? -1 : 1;
	while (ret > 0)
		ret = step(dump);
	if (dump->confirmed) {
		obey_fate(dump);
	} else {
		if (!ret)
			ret = finish(dump);
		if (ret)
			answer(dump, ANSWER_NO);
		end_at_cache(dump, !ret);
	}
	if (dumps->memory)
		image_memory_part(dumps->memory);
	drop_images(dump);
}

static void dump_serve(struct image_dumps *dumps, struct image_client *client,
		       const char *first_image)
{
	struct image_dump dump = {
		.dumps = dumps, .client = client, .pipe = { -1, -1 }, .root_fd = -1,
		.fate = IMAGE_FATE_NONE,
		.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};

	if (dump.wake_fd < 0 || big_pipe_open(dump.pipe))
		error_errno(&dump.err, CODE_INTERNAL, NULL, "cannot make a pipe");
	else if (enter(&dump))
		run(&dump, first_image);
	shutdown(client->fd, SHUT_RDWR);
	leave(&dump);
	settle(&dump);
	image_fate_close(&dump.fate);
	if (dump.root_fd >= 0)
		close(dump.root_fd);
	close(dump.wake_fd);
	big_pipe_close(dump.pipe);
	free(dump.images);
	free(dump.pollfds);
}

/* An action script asks: did all images of its CRIU's dump arrive? @here: the dump came by --stream */
static bool ask(struct image_dumps *dumps, const struct image_client *script, int *root_fd,
		bool *here)
{
	struct image_dump *dump = NULL;
	bool yes = false;

	pthread_mutex_lock(&dumps->lock);
	for (size_t i = 0; i < IMAGE_DUMPS_MAX && !dump; i++)
		if (dumps->running[i] && dumps->running[i]->client->door == script->door &&
		    proc_descends(script->pid, dumps->running[i]->client->pid))
			dump = dumps->running[i];
	if (dump) {
		dump->askers++;
		if (dump->answer == ANSWER_NOT_ASKED) {
			dump->answer = ANSWER_ASKED;
			dump->root_fd = *root_fd;
			*root_fd = -1;
		}
		eventfd_write(dump->wake_fd, 1);
		while (dump->answer == ANSWER_ASKED)
			pthread_cond_wait(&dumps->changed, &dumps->lock);
		yes = dump->answer == ANSWER_YES;
		dump->askers--;
		pthread_cond_broadcast(&dumps->changed);
	}
	pthread_mutex_unlock(&dumps->lock);
	*here = dump;
	return yes;
}

static void serve_script(struct image_dumps *dumps, struct image_client *script, int root_fd)
{
	bool here, yes = ask(dumps, script, &root_fd, &here), by_memory = false;
	struct error err = { 0 };

	if (!here && dumps->remote)
		yes = remote_dump_ask(dumps->remote, script, &root_fd);
	if (!here && !yes && dumps->memory)
		by_memory = yes = image_memory_ask(dumps->memory, script->door, &root_fd);
	if (!here && !dumps->remote && !dumps->memory) {
		error_set(&err, CODE_CRIU, "criu dump needs --stream", "an action script asks, and no dump is here");
		report_error(&err);
	}
	if (root_fd >= 0)
		close(root_fd);
	stream_reply_write(script->fd, yes);
	if (by_memory)
		image_memory_settle(dumps->memory);
}

void image_dump_serve(struct image_client *client)
{
	struct image_dumps *dumps = client->loop->ctx;
	struct stream_request request;
	struct error err = { 0 };

	if (stream_request_read(client->fd, &request, &err) <= 0)
		image_tally_stranger(dumps->tally);
	else if (request.confirm)
		serve_script(dumps, client, request.root ? stream_root_read(client->fd) : -1);
	else
		dump_serve(dumps, client, request.name);
}
