// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/end_signals.h"
#include "base/report.h"
#include "base/thread.h"
#include "services/image_loop.h"

#define TICK_MS	1000

int image_loop_init(struct image_loop *loop, struct error *err)
{
	loop->extra_fd = -1;
	loop->signals = end_signals_open(err);
	if (loop->signals < 0)
		return -1;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return loop->wake_fd < 0 ?
	       error_errno(err, CODE_INTERNAL, NULL, "cannot make an eventfd") : 0;
}

/* Return: a place for one more, which counts once it is open; NULL with @err */
static struct image_door *next_door(struct image_loop *loop, struct error *err)
{
	if (loop->nr_doors < IMAGE_DOORS_MAX)
		return &loop->doors[loop->nr_doors];
	error_set(err, CODE_USAGE, NULL, "at most %d directories", IMAGE_DOORS_MAX);
	return NULL;
}

static int take_door(struct image_loop *loop, struct error *err)
{
	const struct image_door *door = &loop->doors[loop->nr_doors++];

	for (size_t i = 0; i + 1 < loop->nr_doors; i++)
		if (!strcmp(loop->doors[i].id, door->id))
			return error_set(err, CODE_USAGE, "write one as ID=DIR",
					 "two directories have the id \"%s\"", door->id);
	return 0;
}

int image_loop_add_door(struct image_loop *loop, const char *spec, const char *name,
			struct error *err)
{
	struct image_door *door = next_door(loop, err);

	return !door || image_door_open(door, spec, name, err) ? -1 : take_door(loop, err);
}

int image_loop_add_remote(struct image_loop *loop, const char *spec, struct error *err)
{
	struct image_door *door = next_door(loop, err);

	return !door || image_door_open_remote(door, spec, err) ? -1 : take_door(loop, err);
}

void image_loop_wake(struct image_loop *loop)
{
	eventfd_write(loop->wake_fd, 1);
}

static void *client_body(void *arg)
{
	struct image_client *client = arg;

	client->loop->serve(client);
	atomic_store(&client->ended, true);
	image_loop_wake(client->loop);
	return NULL;
}

static struct image_client **free_place(struct image_loop *loop)
{
	for (size_t i = 0; i < IMAGE_CLIENTS_MAX; i++)
		if (!loop->clients[i])
			return &loop->clients[i];
	return NULL;
}

/* Return: false when nobody was there */
static bool accept_one(struct image_loop *loop, struct image_door *door)
{
	int fd = listener_accept(&door->listener, NULL, NULL);
	struct image_client *client = fd < 0 ? NULL : calloc(1, sizeof(*client));
	struct error err = { 0 };
	struct ucred peer = { 0 };
	socklen_t bytes = sizeof(peer);

	if (fd < 0)
		return false;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes);
	if (client) {
		client->loop = loop;
		client->door = door;
		client->fd = fd;
		client->pid = peer.pid;
		client->order = door->remote ? loop->nr_remote++ : loop->nr_remote;
		if (!thread_start(&client->thread, client_body, client, &err)) {
			*free_place(loop) = client;
			return true;
		}
		loop->nr_remote = client->order;
		report_error(&err);
	}
	free(client);
	close(fd);
	return true;
}

/*
 * All that wait at the original protocol's socket, which is the first door, come before others: a question of CRIU's
 * action script comes after all images that CRIU has opened. Return: whether none of them was left
 */
static bool accept_ready(struct image_loop *loop, struct image_door *door)
{
	bool more = true;

	while (more) {
		if (!free_place(loop))
			return false;
		more = accept_one(loop, door) && door->remote;
	}
	return listener_poll_fd(&door->listener) >= 0;
}

static void reap(struct image_loop *loop, bool all)
{
	for (size_t i = 0; i < IMAGE_CLIENTS_MAX; i++) {
		struct image_client *client = loop->clients[i];

		if (!client || (!all && !client->ended))
			continue;
		pthread_join(client->thread, NULL);
		loop->clients[i] = NULL;
		close(client->fd);
		free(client);
	}
}

static void wait_once(struct image_loop *loop)
{
	struct pollfd fds[3 + IMAGE_DOORS_MAX] = {
		{ .fd = loop->signals, .events = POLLIN },
		{ .fd = loop->wake_fd, .events = POLLIN },
		{ .fd = loop->extra_fd, .events = POLLIN },
	};
	eventfd_t ignored;

	for (size_t i = 0; i < loop->nr_doors; i++)
		/* further callers wait in the socket's queue */
		fds[3 + i] = (struct pollfd){ .fd = free_place(loop) ?
						    listener_poll_fd(&loop->doors[i].listener) : -1,
					      .events = POLLIN };
	poll(fds, 3 + loop->nr_doors, TICK_MS);
	if (fds[0].revents && end_signals_take(loop->signals) && (!loop->may_end || loop->may_end(loop->ctx))) {
		loop->signalled = true;
		atomic_store(&loop->stop, true);
	}
	if (fds[1].revents)
		eventfd_read(loop->wake_fd, &ignored);
	reap(loop, false);
	if (fds[2].revents)
		loop->extra(loop->ctx);
	for (size_t i = 0; i < loop->nr_doors && !loop->stop; i++)
		if ((loop->doors[i].remote || fds[3 + i].revents) &&
		    !accept_ready(loop, &loop->doors[i]) && loop->doors[i].remote)
			break;
}

void image_loop_run(struct image_loop *loop)
{
	while (!atomic_load(&loop->stop)) {
		wait_once(loop);
		loop->tick(loop->ctx);
	}
}

void image_loop_end(struct image_loop *loop)
{
	for (size_t i = 0; i < IMAGE_CLIENTS_MAX; i++)
		if (loop->clients[i])
			shutdown(loop->clients[i]->fd, SHUT_RDWR);
	reap(loop, true);
	for (size_t i = 0; i < loop->nr_doors; i++)
		image_door_close(&loop->doors[i]);
	if (loop->signals >= 0)
		close(loop->signals);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
}
