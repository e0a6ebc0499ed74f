// SPDX-License-Identifier: GPL-2.0
/* Plays a script against `serve`. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "mutate.h"

#define CALLS_MAX	400
#define PAUSE_MS	300
#define OTHER_MS	120000
#define BEAT_MS		200
#define MESSAGE_MAX	(1 << 20)	/* of serve; bytes */
#define CONNECT_S	30	/* the kernel takes connections when nobody accepts them */

/* struct play - the connections of a session; @calls: more of them */
struct play {
	const char *where;
	int fds[CONNS];
	int calls[CALLS_MAX];
	size_t nr_calls;
	int patience_ms;
	int (*other)(const char *where);
	struct outcome outcome;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* @where: an IPv4 address and a port */
static int call(struct play *play)
{
	struct timeval limit = { .tv_sec = CONNECT_S };
	struct sockaddr_in addr = { .sin_family = AF_INET };
	const char *colon = strrchr(play->where, ':');
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr.sin_port = htons(atoi(colon + 1));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (void *)&addr, sizeof(addr)))
		return fd;
	play->outcome.connected = false;
	close(fd);
	return -1;
}

static void hang_up(int *fd, bool reset)
{
	struct linger linger = { .l_onoff = 1 };

	if (*fd < 0)
		return;
	if (reset)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(*fd);
	*fd = -1;
}

/* All of it, unless the other side takes nothing for as long as we wait for a message. */
static void say(struct play *play, int *fd, const uint8_t *data, size_t size)
{
	while (size && *fd >= 0) {
		ssize_t n = send(*fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		struct pollfd pfd = { .fd = *fd, .events = POLLOUT };

		if (n >= 0) {
			data += n;
			size -= n;
		} else if (errno != EAGAIN || poll(&pfd, 1, play->patience_ms) <= 0) {
			hang_up(fd, false);
		}
	}
}

static bool hear(struct play *play, void *to, size_t size, int64_t until)
{
	uint8_t *at = to;

	while (size) {
		struct pollfd pfd = { .fd = play->fds[CONTROL], .events = POLLIN };
		int64_t left = until - now_ms();
		ssize_t n;

		if (play->fds[CONTROL] < 0 || poll(&pfd, 1, left > 0 ? left : 0) <= 0)
			return false;
		n = recv(play->fds[CONTROL], at, size, MSG_DONTWAIT);
		if (n <= 0)
			return false;
		at += n;
		size -= n;
	}
	return true;
}

static Migrate__Control *next(struct play *play, int64_t until)
{
	Migrate__Control *msg;
	uint32_t length;
	uint8_t *data;

	if (!hear(play, &length, sizeof(length), until) ||
	    le32toh(length) > MESSAGE_MAX)
		return NULL;
	data = malloc(le32toh(length) + 1);
	msg = data && hear(play, data, le32toh(length), until) ?
	      migrate__control__unpack(NULL, le32toh(length), data) : NULL;
	free(data);
	return msg;
}

/* Return: false when the session cannot go on as it should */
static bool wait_for(struct play *play, uint32_t what)
{
	int64_t until = now_ms() + play->patience_ms;
	Migrate__Control *msg;
	bool found = false, gone = false;

	while (!found && !gone && (msg = next(play, until))) {
		found = msg->body_case == what;
		gone = msg->body_case == MIGRATE__CONTROL__BODY_ABORT;
		if (gone && play->patience_ms > 10000)
			fprintf(stderr, "serve gave up: %s\n", msg->abort->reason);
		migrate__control__free_unpacked(msg, NULL);
	}
	if (!found && !play->outcome.missed) {
		play->outcome.missed = what;
		/* most likely it has given us up */
		play->patience_ms /= 8;
	}
	return found;
}

static void calls(struct play *play, const struct step *step)
{
	for (uint32_t i = 0; i < step->what && play->nr_calls < CALLS_MAX; i++) {
		int fd = call(play);

		if (fd < 0)
			return;
		say(play, &fd, step->data, step->size);
		if (fd >= 0)
			play->calls[play->nr_calls++] = fd;
	}
}

/* While this session lives on, however it stands, and no longer. */
static void other(struct play *play)
{
	int64_t until = now_ms() + OTHER_MS;
	int status = 1;
	pid_t pid = fork();

	if (!pid)
		_exit(play->other(play->where));
	while (!waitpid(pid, &status, WNOHANG)) {
		say(play, &play->fds[CONTROL], (const uint8_t *)"\3\0\0\0\x9a\1\0", 7);
		poll(NULL, 0, BEAT_MS);
		if (now_ms() > until)
			kill(pid, SIGKILL);
	}
	play->outcome.commit = true;
	play->outcome.other_served = !status;
}

static bool is_commit(const struct step *step)
{
	/* le32 length 2, then field 14 of no bytes */
	return step->conn == CONTROL && step->size == 6 && !memcmp(step->data, "\2\0\0\0\x72", 6);
}

static void step_play(struct play *play, const struct step *step)
{
	int *fd = &play->fds[step->conn];
	size_t half = step->kind == STEP_TRICKLE ? step->size / 2 : step->size;

	switch (step->kind) {
	case STEP_WAIT:
		wait_for(play, step->what);
		return;
	case STEP_CLOSE:
		hang_up(fd, step->what);
		return;
	case STEP_CALL:
		calls(play, step);
		return;
	case STEP_OTHER:
		other(play);
		return;
	case STEP_SEND:
	case STEP_TRICKLE:
		break;
	}
	if (*fd < 0)
		*fd = call(play);
	play->outcome.commit |= is_commit(step);
	say(play, fd, step->data, half);
	if (step->kind == STEP_SEND)
		return;
	poll(NULL, 0, PAUSE_MS);
	say(play, fd, step->data + half, step->size - half);
}

struct outcome script_play(const struct script *script, const char *where,
			   int (*other)(const char *where), int patience_ms)
{
	static struct play play;

	play = (struct play){
		.where = where, .fds = { -1, -1, -1 }, .patience_ms = patience_ms,
		.other = other, .outcome = { .connected = true, .other_served = true },
	};
	for (size_t i = 0; i < script->nr && play.outcome.connected &&
	     play.outcome.other_served; i++)
		step_play(&play, &script->steps[i]);
	for (int conn = 0; conn < CONNS; conn++)
		hang_up(&play.fds[conn], false);
	for (size_t i = 0; i < play.nr_calls; i++)
		hang_up(&play.calls[i], false);
	return play.outcome;
}
