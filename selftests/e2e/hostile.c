// SPDX-License-Identifier: GPL-2.0
/*
 * A hostile client of serve, with its own implementation of the protocol.
 *	hostile WHERE greet		Hello; exit status 0: serve answered
 *	hostile WHERE bare		a preamble, then hang-up
 *	hostile WHERE surplus		280 memory connections of one migration
 *	hostile WHERE idle NUMBER	so many accepted migrations that only repeat messages
 *	hostile WHERE same		a migration with the same id each time
 *	hostile WHERE flags		a Setup with an empty CPU flag, which serve must answer
 *	hostile WHERE text		names with escape sequences of a terminal
 *	hostile WHERE setup		an accepted Setup, then the end
 *	hostile WHERE rounds		the same round twice
 *	hostile WHERE populated		a list of 2^32 - 1 pages
 *	hostile WHERE images		images that were not announced
 *	hostile WHERE trickle		a byte of a page now and then
 * WHERE is unix:PATH or a port on 127.0.0.1; the variable FROM has another address to call from.
 * surplus, idle, same and trickle say "ready" and stay.
 */
#include <err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hostile_wire.h"

#define MAX_CONTROLS	64

static int controls[MAX_CONTROLS], memories[MAX_CONTROLS];
static size_t nr_controls;

static int greeted(void)
{
	int fd = connect_as(CONTROL);

	send_hello(fd, "stranger");
	if (next_body(fd) != HELLO)
		errx(1, "nobody greets");
	if (nr_controls < MAX_CONTROLS)
		controls[nr_controls++] = fd;
	return fd;
}

/* A control connection whose Setup was accepted. */
static int set_up(int *memory)
{
	int fd = greeted();

	*memory = connect_as(MEMORY);
	connect_as(URGENT);
	send_setup(fd, "prog", NULL);
	if (next_body(fd) != SETUP_REPLY)
		errx(1, "Setup is not answered");
	return fd;
}

/* It lives, as far as anybody can tell. */
static void beat(void)
{
	static const uint8_t heartbeat[] = { 3, 0, 0, 0, 0x9a, 1, 0 };

	for (size_t i = 0; i < nr_controls; i++)
		send(controls[i], heartbeat, sizeof(heartbeat), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void stay(void)
{
	puts("ready");
	fflush(stdout);
	for (;;) {
		beat();
		sleep(1);
	}
}

/* The other side must give up, and say why. */
static int expect_abort(int fd)
{
	int body;

	do
		body = next_body(fd);
	while (body && body != ABORT);
	return body != ABORT;
}

static int do_surplus(void)
{
	int memory;

	/* its process looks for no more connections */
	set_up(&memory);
	for (int i = 0; i < 280; i++)
		connect_as(MEMORY);
	stay();
	return 0;
}

/* Legal all of it, and none of it brings the migration on; those that were ended meanwhile are left. */
static void repeat(int control, int memory)
{
	static struct buf maps;
	struct pollfd pfd = { .fd = control, .events = POLLOUT };

	if (poll(&pfd, 1, 0) != 1 || pfd.revents != POLLOUT)
		return;
	maps.len = 0;
	put_vma(&maps, 1, BASE, BASE + (1UL << 44));
	put_number(&maps, 50, OBJECT);
	send_body(control, MAPS, &maps);
	send_frame(memory, MAGIC_DROPPED, 0, 1, BASE, 1);
}

static void stay_in_vain(int nr)
{
	puts("ready");
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		beat();
		for (int i = 0; i < nr; i++)
			repeat(controls[i], memories[i]);
		sleep(1);
	}
}

static int do_idle(int nr)
{
	for (int i = 0; i < nr; i++) {
		new_id();
		set_up(&memories[i]);
		beat();
	}
	stay_in_vain(nr);
	return 0;
}

static int do_flags(void)
{
	int fd = greeted();

	connect_as(MEMORY);
	connect_as(URGENT);
	send_setup(fd, "prog", "");
	return next_body(fd) != SETUP_REPLY;
}

static int do_text(void)
{
	int fd = connect_as(CONTROL);

	send_hello(fd, "\033[2Jnode\nforged: a line\xff");
	if (next_body(fd) != HELLO)
		return 1;
	connect_as(MEMORY);
	connect_as(URGENT);
	send_setup(fd, "\033[31mprog\nforged: another", "\033[31m-flag\nforged: flag");
	return next_body(fd) != SETUP_REPLY;
}

static int do_rounds(void)
{
	int memory, fd = set_up(&memory);

	begin_round(fd, 1);
	send_frame(memory, MAGIC_ROUND, 1, 0, 0, 0);
	send_frame(memory, MAGIC_ROUND, 1, 0, 0, 0);
	return expect_abort(fd);
}

static int do_populated(void)
{
	int memory, fd = set_up(&memory);

	say_frozen(fd);
	send_frame(memory, MAGIC_POPULATED, 1, 1, BASE, ~0U);
	return expect_abort(fd);
}

static int do_images(void)
{
	static struct buf buf;
	static char piece[1 << 20];
	int memory, fd = set_up(&memory);

	signal(SIGPIPE, SIG_IGN);
	say_frozen(fd);
	for (uint64_t i = 0; i < 64; i++) {
		buf.len = 0;
		put_text(&buf, 1, "pages-1.img");
		put_number(&buf, 2, i * sizeof(piece));
		put_bytes(&buf, 3, piece, sizeof(piece));
		put_number(&buf, 4, 0);
		if (send(fd, "", 0, MSG_NOSIGNAL) < 0)
			break;
		send_body(fd, IMAGE_FILE, &buf);
		usleep(20000);
	}
	return expect_abort(fd);
}

static int do_trickle(void)
{
	static struct buf maps;
	int memory, fd = set_up(&memory);

	signal(SIGPIPE, SIG_IGN);
	begin_round(fd, 1);
	send_frame(memory, MAGIC_PAGES, 1, 1, BASE, 512);
	write_all(memory, "x", 1);
	/* so that it is in the middle of these pages when its mappings change */
	sleep(1);
	maps.len = 0;
	put_vma(&maps, 1, BASE, BASE + (1UL << 30));
	put_number(&maps, 50, OBJECT);
	send_body(fd, MAPS, &maps);
	puts("ready");
	fflush(stdout);
	while (write(memory, "x", 1) == 1) {
		beat();
		usleep(500000);
	}
	return 0;
}

static int do_setup(void)
{
	int memory;

	set_up(&memory);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} verbs[] = {
		{ "surplus", do_surplus }, { "flags", do_flags }, { "text", do_text },
		{ "rounds", do_rounds }, { "populated", do_populated }, { "images", do_images },
		{ "trickle", do_trickle }, { "setup", do_setup },
	};

	if (argc < 3)
		errx(2, "usage: hostile WHERE VERB");
	where = argv[1];
	from = getenv("FROM");
	if (!strcmp(argv[2], "same")) {
		greeted();
		stay();
	}
	new_id();
	if (!strcmp(argv[2], "greet"))
		return greeted() < 0;
	if (!strcmp(argv[2], "bare"))
		return connect_as(CONTROL) < 0;
	if (!strcmp(argv[2], "idle") && argc == 4 && atoi(argv[3]) <= MAX_CONTROLS)
		return do_idle(atoi(argv[3]));
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(argv[2], verbs[i].name))
			return verbs[i].run();
	errx(2, "there is no \"%s\"", argv[2]);
}
