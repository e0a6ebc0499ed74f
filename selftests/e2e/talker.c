// SPDX-License-Identifier: GPL-2.0
/*
 * A program with connections on which both ends talk all the time, and check each byte.
 *   talker serve PORT [ADDR]       the program that moves: any number of connections
 *   talker peer KIND ADDR PORT F   its peer. F: two numbers, bytes sent and bytes received
 * KIND: both: both talk; here: the peer ends its half early and listens on; there: the server does.
 * A byte that is wrong, a reset or an end that nobody asked for ends the peer with a reason.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS	64
#define CHUNK		4096
#define HALF_BYTES	(1 << 18)	/* after so many a half is ended */
#define TICK_NS		2000000

/* One end; a stream's byte depends on its place alone. */
struct talk {
	int fd;
	uint64_t sent, received, sends_at_most;
	int kind, ends;
};

static uint8_t byte_at(uint64_t place)
{
	return (place * 0x9e3779b97f4a7c15ULL) >> 29;
}

static void fail(const char *what)
{
	fprintf(stderr, "talker: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Return: NULL, or what was wrong */
static const char *hear(struct talk *talk)
{
	uint8_t buf[CHUNK];
	ssize_t got;

	while ((got = recv(talk->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < got; i++, talk->received++)
			if (talk->received && buf[i] != byte_at(talk->received))
				return "a wrong byte";
			else if (!talk->received)
				talk->kind = buf[i];
	}
	if (!got)
		talk->ends = 1;
	return got < 0 && errno != EAGAIN ? "recv" : NULL;
}

static const char *say(struct talk *talk, int kind)
{
	uint8_t buf[CHUNK];
	uint64_t room = talk->sends_at_most - talk->sent;
	size_t bytes = room < sizeof(buf) ? room : sizeof(buf);
	ssize_t put;

	if (!bytes)
		return NULL;
	for (size_t i = 0; i < bytes; i++)
		buf[i] = talk->sent + i ? byte_at(talk->sent + i) : kind;
	put = send(talk->fd, buf, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put > 0)
		talk->sent += put;
	if (put > 0 && talk->sent == talk->sends_at_most)
		shutdown(talk->fd, SHUT_WR);
	return put < 0 && errno != EAGAIN ? "send" : NULL;
}

static void pace(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = TICK_NS }, NULL);
}

static void take(int listener, struct talk *talks)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	for (int i = 0; fd >= 0 && i < CONNECTIONS; i++)
		if (talks[i].fd < 0) {
			talks[i] = (struct talk){ .fd = fd, .sends_at_most = UINT64_MAX };
			return;
		}
}

/* A reset tells the peer. */
static void drop(struct talk *talk)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(talk->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(talk->fd);
	talk->fd = -1;
}

static void serve(const char *address, int port)
{
	struct sockaddr_in6 name = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	static struct talk talks[CONNECTIONS];

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (inet_pton(AF_INET6, address, &name.sin6_addr) != 1 ||
	    bind(listener, (struct sockaddr *)&name, sizeof(name)) || listen(listener, 16))
		fail("listen");
	for (int i = 0; i < CONNECTIONS; i++)
		talks[i].fd = -1;
	for (;; pace()) {
		take(listener, talks);
		for (int i = 0; i < CONNECTIONS; i++) {
			struct talk *talk = &talks[i];

			if (talk->fd < 0)
				continue;
			if (talk->kind == 't' && talk->sends_at_most == UINT64_MAX)
				talk->sends_at_most = talk->sent + HALF_BYTES;
			if (hear(talk) || (talk->ends && talk->kind != 'h') || say(talk, 'x'))
				drop(talk);
		}
	}
}

static int dial(const char *address, const char *port)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	struct addrinfo *info;
	int fd;

	if (getaddrinfo(address, port, &hints, &info))
		fail(address);
	fd = socket(info->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, info->ai_addr, info->ai_addrlen))
		fail("connect");
	return fd;
}

static void peer(int kind, const char *address, const char *port, const char *path)
{
	struct talk talk = { .fd = dial(address, port), .sends_at_most = UINT64_MAX };
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint64_t *told;

	if (file < 0 || ftruncate(file, 16))
		fail(path);
	told = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (kind == 'h')
		talk.sends_at_most = HALF_BYTES;
	for (;; pace()) {
		const char *wrong = hear(&talk);

		wrong = wrong ?: say(&talk, kind);
		if (!wrong && talk.ends && kind != 't')
			wrong = "an end";
		if (wrong)
			fail(wrong);
		told[0] = talk.sent;
		told[1] = talk.received;
	}
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "serve"))
		serve(argc == 4 ? argv[3] : "::", atoi(argv[2]));
	if (argc == 6 && !strcmp(argv[1], "peer"))
		peer(*argv[2] == 't' ? 't' : *argv[2] == 'h' ? 'h' : 'b', argv[3], argv[4], argv[5]);
	fprintf(stderr, "usage: talker serve PORT [ADDR] | peer both|here|there ADDR PORT FILE\n");
	return 2;
}
