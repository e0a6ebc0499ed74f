// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/page.h"
#include "base/report.h"
#include "base/thread.h"
#include "criu/pagemap.h"
#include "services/page_receiver.h"
#include "wire/conn.h"

#define ROOM_MIN	16
#define HANDSHAKE_MS	30000	/* for all of TLS before the first command */
#define HELLO		0x0316	/* a TLS client's first bytes, read as a command's id */
#define HANG_UP_MS	10000	/* wait so long for a sender to close, so that this end keeps no TIME_WAIT */

static int fail(struct page_receiver *receiver, const char *what)
{
	return error_set(&receiver->err, CODE_PEER, "the CRIU that sends may be too new", "%s",
			 what);
}

static int lost(struct page_receiver *receiver)
{
	switch (atomic_load(&receiver->cut)) {
	case PAGE_CUT_STOP:
		return error_set(&receiver->err, CODE_ABORTED, NULL,
				 "the page server was ended before the sender said that all pages were sent");
	case PAGE_CUT_SILENT:
		return error_set(&receiver->err, CODE_PEER, NULL,
				 receiver->spoke ? "the sender was silent for too long, and another one waited for its place" :
				 "no command came");
	default:
		break;
	}
	if (receiver->stream.tls && tls_why(receiver->stream.tls))
		return error_set(&receiver->err, CODE_PEER, NULL, "TLS with the sender ended: %s",
				 tls_why(receiver->stream.tls));
	return error_set(&receiver->err, CODE_NETWORK, NULL,
			 "the sender hung up before it said that all pages were sent");
}

static int answer(struct page_receiver *receiver, const void *from, size_t bytes)
{
	return page_stream_write(&receiver->stream, from, bytes, false) ? lost(receiver) : 0;
}

/* Return: 1 the parent has the object, 0 it has not, -1 with an error */
static int read_parent(struct page_receiver *receiver, uint64_t target, struct parent_map *map)
{
	struct error why = { 0 };
	int fd, ret;

	memset(map, 0, sizeof(*map));
	if (image_dir_parent(receiver->dir, &fd, &receiver->err))
		return -1;
	if (fd < 0)
		return 0;
	ret = parent_map_read(map, fd, target, &why);
	close(fd);
	if (ret >= 0)
		return ret;
	/* CRIU sends all pages then */
	report_say("%s: the parent's image is of no use: %s", receiver->peer, why.what);
	return 0;
}

static int note_made(struct page_receiver *receiver, const struct image_made *made)
{
	size_t room = receiver->room ? receiver->room * 2 : ROOM_MIN;
	struct image_made *grown;

	if (receiver->nr_made == receiver->room) {
		grown = reallocarray(receiver->made, room, sizeof(*grown));
		if (!grown) {
			image_dir_drop(receiver->dir, made, 1);
			return error_set(&receiver->err, CODE_INTERNAL, NULL, "no memory for an image");
		}
		receiver->made = grown;
		receiver->room = room;
	}
	receiver->made[receiver->nr_made++] = *made;
	return 0;
}

static int finish_image(struct page_receiver *receiver)
{
	const struct image_counts *counts = &receiver->writer.counts;

	receiver->counts.present += counts->present;
	receiver->counts.in_parent += counts->in_parent;
	receiver->counts.lazy += counts->lazy;
	parent_map_free(&receiver->parent);
	return image_writer_finish(&receiver->writer, &receiver->err);
}

static int open_image(struct page_receiver *receiver, uint64_t target)
{
	struct image_made made;
	int ret;

	if (finish_image(receiver) ||
	    image_dir_take(receiver->dir, target, &made, &receiver->err) ||
	    note_made(receiver, &made) ||
	    image_writer_open(&receiver->writer, receiver->dir->fd, &made, &receiver->err))
		return -1;
	ret = read_parent(receiver, target, &receiver->parent);
	receiver->has_parent = ret > 0;
	return ret < 0 ? -1 : 0;
}

static int answer_parent(struct page_receiver *receiver, uint64_t target)
{
	struct parent_map map;
	int32_t known = read_parent(receiver, target, &map);

	if (known < 0)
		return -1;
	parent_map_free(&map);
	return answer(receiver, &known, sizeof(known));
}

/* A page that a child image leaves out, and that its parent does not list, fails the restore. */
static int check_hole(struct page_receiver *receiver, const struct page_command *command)
{
	if (receiver->has_parent &&
	    parent_map_has(&receiver->parent, command->addr, command->nr_pages))
		return 0;
	return error_set(&receiver->err, CODE_PEER, NULL,
			 "%" PRIu64 " pages at %#" PRIx64 " were left out, and the parent's image does not have all of them",
			 command->nr_pages, command->addr);
}

static int take_pages(struct page_receiver *receiver, const struct page_command *command)
{
	switch (page_payload_take(&receiver->payload, &receiver->stream, command,
				  receiver->writer.pages_fd)) {
	case PAGE_TAKEN:
		return 0;
	case PAGE_TAKEN_LOST:
		return lost(receiver);
	case PAGE_TAKEN_DAMAGED:
		return fail(receiver, "a compressed page is not one page of LZ4");
	default:
		return error_errno(&receiver->err, CODE_INTERNAL, NULL, "cannot write pages-%u.img",
				   receiver->writer.made.pages_id);
	}
}

static int add(struct page_receiver *receiver, const struct page_command *command)
{
	/* CRIU before 1.3 sends no OPEN */
	if ((receiver->writer.map_fd < 0 || receiver->writer.made.target != command->target) &&
	    open_image(receiver, command->target))
		return -1;
	if (image_writer_entry(&receiver->writer, command->addr, command->nr_pages,
			       command->flags, &receiver->err))
		return -1;
	if ((command->flags & PAGEMAP_PARENT) && check_hole(receiver, command))
		return -1;
	return command->flags & PAGEMAP_PRESENT ? take_pages(receiver, command) : 0;
}

static int close_all(struct page_receiver *receiver)
{
	const int32_t done = 0;

	if (finish_image(receiver) ||
	    image_dir_publish(receiver->dir, receiver->made, receiver->nr_made, &receiver->err))
		return -1;
	receiver->closed = true;
	return answer(receiver, &done, sizeof(done));
}

static int obey(struct page_receiver *receiver, const struct page_command *command)
{
	uint8_t byte;

	switch (command->id) {
	case PAGE_COMMAND_ADD_FLAGS:
	case PAGE_COMMAND_ADD_COMPRESSED:
		return add(receiver, command);
	case PAGE_COMMAND_OPEN:
		return open_image(receiver, command->target);
	case PAGE_COMMAND_OPEN2:
		if (open_image(receiver, command->target))
			return -1;
		byte = receiver->has_parent;
		return answer(receiver, &byte, sizeof(byte));
	case PAGE_COMMAND_PARENT:
		return answer_parent(receiver, command->target);
	case PAGE_COMMAND_CLOSE:
	case PAGE_COMMAND_FORCE_CLOSE:
		return close_all(receiver);
	case PAGE_COMMAND_GET:
		return fail(receiver, "the sender asks for pages, as criu lazy-pages does");
	default:
		return error_set(&receiver->err, CODE_PEER, "the CRIU that sends may be too new",
				 "the command %u is not known here", command->id);
	}
}

static bool is_close(const struct page_command *command)
{
	return command->id == PAGE_COMMAND_CLOSE || command->id == PAGE_COMMAND_FORCE_CLOSE;
}

/* Later versions of CRIU may have other commands, but each command but CLOSE has a target. */
static bool is_sound(const struct page_command *command)
{
	return is_close(command) || page_target_is_known(command->target) ||
	       command->id == PAGE_COMMAND_GET;
}

/* Return: 1 after a command, 0 after CLOSE, -1 with an error */
static int step(struct page_receiver *receiver, struct page_command *command)
{
	int ret = page_command_read(&receiver->stream, &receiver->bytes, command);

	if (ret <= 0)
		return lost(receiver);
	if (!receiver->spoke && command->id == HELLO)
		return error_set(&receiver->err, CODE_PEER, "give --tls to this page server, too",
				 "the sender speaks TLS, and this page server was started without it");
	if (!is_sound(command))
		return fail(receiver, "no command of a page server's protocol");
	atomic_store(&receiver->spoke, true);
	page_command_plain(command);
	if (obey(receiver, command))
		return -1;
	return !is_close(command);
}

/* Return: true when the sender has closed its end, as it does when it has the answer */
static bool wait_for_hang_up(struct page_receiver *receiver, int wait_ms)
{
	struct pollfd pfd = { .fd = receiver->stream.fd, .events = POLLIN };
	int64_t end_ms = clock_now_ms() + wait_ms;
	char rest[64];

	/* what comes is the rest of a CLOSE whose length was not known */
	while (poll(&pfd, 1, wait_ms) > 0) {
		ssize_t n = recv(receiver->stream.fd, rest, sizeof(rest), MSG_DONTWAIT);

		if (n <= 0)
			return !n;
		wait_ms = end_ms > clock_now_ms() ? end_ms - clock_now_ms() : 0;
	}
	return false;
}

void page_receiver_init(struct page_receiver *receiver, int fd, struct image_dir *dir)
{
	*receiver = (struct page_receiver){
		.stream.fd = fd, .wake_fd = -1, .payload = PAGE_PAYLOAD_NONE, .dir = dir,
		.writer = IMAGE_WRITER_NONE, .since_ms = clock_now_ms(),
	};
}

static int begin(struct page_receiver *receiver)
{
	if (page_payload_init(&receiver->payload))
		return error_errno(&receiver->err, CODE_INTERNAL, NULL, "cannot make a pipe");
	if (!receiver->trust)
		return 0;
	receiver->stream.tls = tls_accept(receiver->stream.fd, receiver->trust, receiver->name,
					  HANDSHAKE_MS, &receiver->err);
	return receiver->stream.tls ? 0 : -1;
}

/* After FORCE_CLOSE the socket stays open, since the caller of either side uses it again. */
static void part(struct page_receiver *receiver, bool force)
{
	if (receiver->stream.tls)
		tls_end(receiver->stream.tls, force ? HANG_UP_MS : 0);
	/* but for the rest of a CLOSE whose length was not known, all that comes now is the caller's */
	if (!force || !receiver->bytes)
		receiver->confirmed = wait_for_hang_up(receiver, force ? 0 : HANG_UP_MS);
	receiver->confirmed |= force;
}

void page_receiver_run(struct page_receiver *receiver)
{
	struct page_command command;
	int ret = begin(receiver);

	if (!ret)
		do
			ret = step(receiver, &command);
		while (ret > 0);
	image_writer_drop(&receiver->writer);
	parent_map_free(&receiver->parent);
	if (!receiver->closed)
		image_dir_drop(receiver->dir, receiver->made, receiver->nr_made);
	if (!ret)
		part(receiver, command.id == PAGE_COMMAND_FORCE_CLOSE);
	else
		shutdown(receiver->stream.fd, SHUT_RDWR);
	atomic_store(&receiver->ended, true);
	if (receiver->wake_fd >= 0)
		eventfd_write(receiver->wake_fd, 1);
}

static void *receiver_body(void *arg)
{
	page_receiver_run(arg);
	return NULL;
}

int page_receiver_start(struct page_receiver *receiver, struct error *err)
{
	return thread_start(&receiver->thread, receiver_body, receiver, err);
}

void page_receiver_cut(struct page_receiver *receiver, enum page_cut why)
{
	atomic_store(&receiver->cut, why);
	shutdown(receiver->stream.fd, SHUT_RDWR);
}

int64_t page_receiver_silent_ms(const struct page_receiver *receiver)
{
	return conn_silent_ms(receiver->stream.fd);
}

void page_receiver_join(struct page_receiver *receiver)
{
	pthread_join(receiver->thread, NULL);
}

void page_receiver_free(struct page_receiver *receiver)
{
	page_payload_free(&receiver->payload);
	tls_free(receiver->stream.tls);
	close(receiver->stream.fd);
	free(receiver->made);
	receiver->made = NULL;
}
