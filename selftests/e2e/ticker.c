// SPDX-License-Identifier: GPL-2.0
/*
 * A server that checks its own memory, and its client.
 *
 *	ticker serve PORT MIB	answers each byte with a count; checks and writes memory
 *	ticker hold PORT MIB FILE	the same with memory that CRIU does not restore lazily: half of it
 *				a private mapping of FILE, half of it locked. It is written once, and
 *				all of it is checked for each new client
 *	ticker ask HOST PORT FILE	asks for ever on one connection, notes the answers in FILE
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE_WORDS	512
#define CLIENTS		8
#define HIDDEN_PAGES	8

static uint64_t *memory_make(uint64_t pages)
{
	uint64_t *memory, i;

	memory = mmap(NULL, pages * PAGE_WORDS * 8, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	for (i = 0; i < pages; i++)
		memory[i * PAGE_WORDS] = i + 1;
	return memory;
}

/* The pages of a private file mapping, and behind these as many locked ones. */
static uint64_t *held_make(const char *path, uint64_t pages)
{
	uint64_t half = pages / 2 * PAGE_WORDS * 8, *memory = memory_make(pages);
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, half) ||
	    mmap(memory, half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) != memory)
		err(1, "%s", path);
	for (uint64_t i = 0; i < pages / 2; i++)
		memory[i * PAGE_WORDS] = i + 1;
	if (mlock((char *)memory + half, half))
		err(1, "mlock");
	close(fd);
	return memory;
}

static uint64_t held_check(const uint64_t *memory, uint64_t pages)
{
	uint64_t i, bad = 0;

	for (i = 0; i < pages; i++)
		bad += memory[i * PAGE_WORDS] != i + 1;
	return bad;
}

/* What the program itself must not read moves like the rest. */
static uint64_t *hidden_make(void)
{
	uint64_t *hidden = memory_make(HIDDEN_PAGES);

	if (mprotect(hidden, HIDDEN_PAGES * PAGE_WORDS * 8, PROT_NONE))
		err(1, "mprotect");
	return hidden;
}

/* Sockets that can carry credentials, beside those that cannot. */
static int pair_make(void)
{
	int pair[2], one = 1;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
	    setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)))
		err(1, "socketpair");
	return pair[0];
}

static uint64_t pair_check(int fd)
{
	socklen_t bytes = sizeof(int);
	int on = 0;

	return getsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, &bytes) || !on;
}

static uint64_t hidden_check(uint64_t *hidden)
{
	uint64_t i, bad = 0;

	mprotect(hidden, HIDDEN_PAGES * PAGE_WORDS * 8, PROT_READ);
	for (i = 0; i < HIDDEN_PAGES; i++)
		bad += hidden[i * PAGE_WORDS] != i + 1;
	mprotect(hidden, HIDDEN_PAGES * PAGE_WORDS * 8, PROT_NONE);
	return bad;
}

/* The page's first word stays, the second counts: both are checked. */
static uint64_t memory_use(uint64_t *memory, uint64_t pages, uint64_t *counts)
{
	static uint64_t state = 88172645463325252ull;
	uint64_t i, bad = 0;

	for (i = 0; i < 64; i++) {
		uint64_t page;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		page = state % pages;
		if (memory[page * PAGE_WORDS] != page + 1 ||
		    memory[page * PAGE_WORDS + 1] != counts[page])
			bad++;
		memory[page * PAGE_WORDS + 1] = ++counts[page];
	}
	return bad;
}

static int port_listen(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8))
		err(1, "port %d", port);
	return fd;
}

static void client_add(struct pollfd *fds, int fd)
{
	int i;

	for (i = 1; i <= CLIENTS; i++) {
		if (fds[i].fd < 0) {
			fds[i].fd = fd;
			return;
		}
	}
	close(fd);
}

/* One answer: how often it was asked, and wrong pages found so far. */
static void client_answer(struct pollfd *slot, uint64_t *answer)
{
	char byte;

	if (read(slot->fd, &byte, 1) != 1) {
		close(slot->fd);
		slot->fd = -1;
		return;
	}
	answer[0]++;
	if (write(slot->fd, answer, 16) != 16)
		warn("write");
}

/* @file: not NULL: memory that CRIU does not restore lazily, and that stays as it is */
static void serve(int port, uint64_t pages, const char *file)
{
	uint64_t *memory = file ? held_make(file, pages) : memory_make(pages), answer[2] = {};
	uint64_t *counts = calloc(pages, sizeof(*counts)), *hidden = hidden_make();
	struct pollfd fds[CLIENTS + 1];
	int i, pair = pair_make();

	for (i = 0; i <= CLIENTS; i++)
		fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	fds[0].fd = port_listen(port);
	for (;;) {
		poll(fds, CLIENTS + 1, 5);
		if (!file)
			answer[1] += memory_use(memory, pages, counts);
		if (fds[0].revents) {
			if (file)
				answer[1] += held_check(memory, pages);
			client_add(fds, accept(fds[0].fd, NULL, NULL));
			answer[1] += hidden_check(hidden) + pair_check(pair);
		}
		for (i = 1; i <= CLIENTS; i++) {
			if (fds[i].fd >= 0 && fds[i].revents)
				client_answer(&fds[i], answer);
		}
	}
}

static void ask(const char *host, int port, const char *path)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int note = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint64_t answer[2];

	inet_pton(AF_INET, host, &addr.sin_addr);
	if (note < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err(1, "%s port %d", host, port);
	for (;;) {
		if (write(fd, "?", 1) != 1 ||
		    recv(fd, answer, sizeof(answer), MSG_WAITALL) != 16)
			err(1, "connection to %s lost", host);
		if (pwrite(note, answer, sizeof(answer), 0) != 16)
			err(1, "%s", path);
		usleep(20000);
	}
}

int main(int argc, char **argv)
{
	/* a client that gave up while the program stood */
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]), strtoull(argv[3], NULL, 0) * 256, NULL);
	if (argc == 5 && !strcmp(argv[1], "hold"))
		serve(atoi(argv[2]), strtoull(argv[3], NULL, 0) * 256, argv[4]);
	if (argc == 5 && !strcmp(argv[1], "ask"))
		ask(argv[2], atoi(argv[3]), argv[4]);
	errx(2, "usage: ticker serve PORT MIB | hold PORT MIB FILE | ask HOST PORT FILE");
}
