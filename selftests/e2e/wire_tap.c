// SPDX-License-Identifier: GPL-2.0
/*
 * Stands on the network between two ends, and says what it saw: whether WORD went by. It can spoil a byte, or cut
 * the connection as an orderly end would be, once so many bytes have gone by towards the server; or let nothing through any
 * more, and take all, once FILE is there: this machine's kernel acknowledges it.
 * Usage: wire_tap PORT ADDRESS PORT WORD [flip|cut BYTES | deaf FILE]
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OVERLAP	64

static const char *word;
static long spoil_at;
static int flips, cuts;
static const char *deaf_file;

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	inet_pton(AF_INET, host, &addr.sin_addr);
	return addr;
}

/** struct way - one direction; the last bytes of what went by before are in front of @buf */
struct way {
	int from, to;
	long bytes;
	char tail[OVERLAP], buf[65536];
};

static void look(struct way *way, size_t n)
{
	static char all[OVERLAP + sizeof(way->buf)];

	memcpy(all, way->tail, OVERLAP);
	memcpy(all + OVERLAP, way->buf, n);
	if (memmem(all, OVERLAP + n, word, strlen(word))) {
		puts("seen");
		fflush(stdout);
	}
	memcpy(way->tail, all + n, OVERLAP);
}

static void pass(struct way *way, int spoils)
{
	ssize_t n = read(way->from, way->buf, sizeof(way->buf));
	size_t at = 0;

	if (n <= 0) {
		shutdown(way->to, SHUT_WR);
		way->from = -1;
		return;
	}
	look(way, n);
	if (deaf_file && !access(deaf_file, F_OK))
		return;
	if (spoils && spoil_at && way->bytes + n > spoil_at) {
		if (cuts) {
			shutdown(way->to, SHUT_RDWR);
			exit(0);
		}
		way->buf[spoil_at > way->bytes ? spoil_at - way->bytes : 0] ^= 1;
		spoil_at = 0;
	}
	way->bytes += n;
	while (at < (size_t)n) {
		ssize_t ret = write(way->to, way->buf + at, n - at);

		if (ret <= 0)
			exit(0);
		at += ret;
	}
}

static void stand_between(int client, const struct sockaddr_in *to)
{
	static struct way up, down;
	int server = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(server, (const void *)to, sizeof(*to)))
		exit(1);
	up = (struct way){ .from = client, .to = server };
	down = (struct way){ .from = server, .to = client };
	while (up.from >= 0 || down.from >= 0) {
		struct pollfd fds[2] = {
			{ .fd = up.from, .events = POLLIN }, { .fd = down.from, .events = POLLIN },
		};

		poll(fds, 2, -1);
		if (fds[0].revents)
			pass(&up, flips || cuts);
		if (fds[1].revents)
			pass(&down, 0);
	}
	exit(0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in here, to;
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (argc != 5 && argc != 7)
		return 2;
	here = address("0.0.0.0", argv[1]);
	to = address(argv[2], argv[3]);
	word = argv[4];
	if (argc == 7) {
		flips = !strcmp(argv[5], "flip");
		cuts = !strcmp(argv[5], "cut");
		spoil_at = atol(argv[6]);
		deaf_file = flips || cuts ? NULL : argv[6];
	}
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (void *)&here, sizeof(here)) || listen(listener, 64))
		return 1;
	puts("ready");
	fflush(stdout);
	for (;;) {
		int client = accept(listener, NULL, NULL);

		if (client >= 0 && !fork()) {
			/* else no other tap could listen there as long as this connection lives */
			close(listener);
			stand_between(client, &to);
		}
		if (client >= 0)
			close(client);
	}
}
