// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "criu/criu.h"

#define SOCKET_NAME	"lazy-pages.socket"
#define FINISHED	0x52535446U
#define PID_MAX		(1 << 22)

/**
 * struct lazy_server - the end of the socket that `criu lazy-pages` would have
 * @dir_fd: directory in which the socket is bound
 * @fd: the listening socket, later the connected one
 * @word: the pid whose descriptor is outstanding; 0: a word comes next
 * @looked: what was returned last, a word or a descriptor, may still be in the socket: it is taken at the next step, when
 *	the caller has recorded it
 */
struct lazy_server {
	int dir_fd;
	int fd;
	bool connected, looked;
	uint32_t word;
};

static int server_bind(struct lazy_server *srv, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" SOCKET_NAME,
		 srv->dir_fd);
	srv->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (srv->fd < 0 || bind(srv->fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(srv->fd, 1))
		return error_errno(err, CODE_INTERNAL, NULL,
				   "cannot listen on " SOCKET_NAME " in the work directory");
	return 0;
}

static struct lazy_server *server_new(int work_dir_fd, struct error *err)
{
	struct lazy_server *srv = calloc(1, sizeof(*srv));

	if (!srv) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for " SOCKET_NAME);
		return NULL;
	}
	srv->fd = -1;
	srv->dir_fd = fcntl(work_dir_fd, F_DUPFD_CLOEXEC, 0);
	if (srv->dir_fd >= 0)
		return srv;
	error_errno(err, CODE_INTERNAL, NULL, "cannot use the work directory");
	lazy_server_close(srv);
	return NULL;
}

int lazy_server_listen(int work_dir_fd, struct lazy_server **out, struct error *err)
{
	struct lazy_server *srv = server_new(work_dir_fd, err);

	*out = NULL;
	if (!srv)
		return -1;
	if (server_bind(srv, err)) {
		lazy_server_close(srv);
		return -1;
	}
	*out = srv;
	return 0;
}

int lazy_server_resume(int work_dir_fd, int fd, pid_t word, struct lazy_server **out, struct error *err)
{
	struct lazy_server *srv = server_new(work_dir_fd, err);

	*out = srv;
	if (!srv) {
		close(fd);
		return -1;
	}
	srv->fd = fd;
	srv->connected = true;
	srv->looked = true;
	srv->word = word;
	return 0;
}

int lazy_server_adopt(int work_dir_fd, int fd, struct lazy_server **out, struct error *err)
{
	struct lazy_server *srv = server_new(work_dir_fd, err);

	*out = srv;
	if (!srv) {
		close(fd);
		return -1;
	}
	srv->fd = fd;
	return 0;
}

pid_t lazy_server_word(const struct lazy_server *srv)
{
	return srv->word == FINISHED ? 0 : (pid_t)srv->word;
}

pid_t lazy_server_criu(const struct lazy_server *srv)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	return srv->connected && !getsockopt(srv->fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) ? peer.pid : 0;
}

int lazy_server_fd(const struct lazy_server *srv)
{
	return srv->fd;
}

/* True for EAGAIN and the like: the caller tries again when poll() says so. */
static bool not_now(void)
{
	return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
}

static int server_accept(struct lazy_server *srv, struct error *err)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);
	int fd = accept4(srv->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 && not_now())
		return 0;
	if (fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot accept CRIU's connection");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) || peer.uid != geteuid()) {
		close(fd);
		return 0;
	}
	/* CRIU connects once: no other process may connect afterwards */
	unlinkat(srv->dir_fd, SOCKET_NAME, 0);
	close(srv->fd);
	srv->fd = fd;
	srv->connected = true;
	return 0;
}

static int recv_failed(ssize_t n, enum lazy_event *event, struct error *err)
{
	if (n < 0 && not_now())
		return 0;
	*event = LAZY_LOST;
	if (n < 0 && errno != ECONNRESET)
		return error_errno(err, CODE_CRIU, NULL, "cannot read " SOCKET_NAME);
	return 0;
}

/* Take @bytes that were looked at. */
static void drop(struct lazy_server *srv, size_t bytes)
{
	uint8_t dropped[sizeof(srv->word)];
	int passed;

	fdpass_recv_bytes(srv->fd, dropped, bytes, &passed, NULL);
	if (passed >= 0)
		close(passed);
}

/*
 * Take what was returned last, if it is still there: another process may have taken it. A descriptor comes with the
 * byte behind its pid, and ends what is looked at; behind a word the kernel shows it already, without that byte.
 */
static void drop_looked_at(struct lazy_server *srv)
{
	uint32_t word = 0;
	int passed;
	ssize_t n = fdpass_peek_bytes(srv->fd, &word, sizeof(word), &passed);

	srv->looked = false;
	if (srv->word && n == sizeof(word) && word == srv->word)
		drop(srv, n);
	else if (!srv->word && n == 1 && passed >= 0)
		drop(srv, n);
	if (passed >= 0)
		close(passed);
}

static int word_done(struct lazy_server *srv, uint32_t word, enum lazy_event *event, pid_t *pid,
		     struct error *err)
{
	int32_t number = (int32_t)word;

	if (word == FINISHED) {
		*event = LAZY_FINISHED;
	} else if (number < 0 && number >= -PID_MAX) {
		*event = LAZY_TASK;
		*pid = -number;
		drop(srv, sizeof(word));
		return 0;
	} else if (number <= 0 || number > PID_MAX) {
		*event = LAZY_LOST;
		return error_set(err, CODE_CRIU, NULL, "%#x on " SOCKET_NAME
				 " is not the pid of a task", word);
	}
	srv->word = word;
	srv->looked = true;
	return 0;
}

/* A part of a word stays in the socket, also when nothing follows. */
static bool has_hung_up(const struct lazy_server *srv)
{
	struct pollfd pfd = { .fd = srv->fd, .events = POLLRDHUP };

	return poll(&pfd, 1, 0) > 0;
}

static int next_word(struct lazy_server *srv, enum lazy_event *event, pid_t *pid,
		     struct error *err)
{
	bool over = has_hung_up(srv);
	uint32_t word;
	int passed;
	ssize_t n = fdpass_peek_bytes(srv->fd, &word, sizeof(word), &passed);

	if (passed >= 0)
		close(passed);
	if (passed >= 0 && n < (ssize_t)sizeof(word)) {
		*event = LAZY_LOST;
		return error_set(err, CODE_CRIU, NULL, "a descriptor in place of a pid on " SOCKET_NAME);
	}
	if (n <= 0)
		return recv_failed(n, event, err);
	if (n < (ssize_t)sizeof(word))
		*event = over ? LAZY_LOST : LAZY_NOTHING;
	return n == sizeof(word) ? word_done(srv, word, event, pid, err) : 0;
}

static int next_uffd(struct lazy_server *srv, enum lazy_event *event, pid_t *pid, int *uffd,
		     struct error *err)
{
	char byte;
	ssize_t n = fdpass_peek_bytes(srv->fd, &byte, 1, uffd);

	if (n <= 0)
		return recv_failed(n, event, err);
	if (*uffd < 0) {
		*event = LAZY_LOST;
		return error_set(err, CODE_CRIU, NULL,
				 "no userfaultfd after the pid on " SOCKET_NAME);
	}
	*pid = (pid_t)srv->word;
	srv->word = 0;
	srv->looked = true;
	*event = LAZY_TASK;
	return 0;
}

int lazy_server_next(struct lazy_server *srv, enum lazy_event *event, pid_t *pid, int *uffd,
		     struct error *err)
{
	*event = LAZY_NOTHING;
	*pid = 0;
	*uffd = -1;
	if (!srv->connected)
		return server_accept(srv, err);
	if (srv->looked)
		drop_looked_at(srv);
	return srv->word ? next_uffd(srv, event, pid, uffd, err) : next_word(srv, event, pid, err);
}

bool lazy_server_withdraw(struct lazy_server *srv)
{
	struct pollfd pfd = { .fd = srv->fd, .events = POLLIN };

	if (srv->connected)
		return false;
	unlinkat(srv->dir_fd, SOCKET_NAME, 0);
	return poll(&pfd, 1, 0) == 0;
}

void lazy_server_leave(struct lazy_server *srv)
{
	if (!srv)
		return;
	srv->connected = true;
	srv->looked = false;
	lazy_server_close(srv);
}

void lazy_server_close(struct lazy_server *srv)
{
	if (!srv)
		return;
	if (srv->looked)
		drop_looked_at(srv);
	if (srv->fd >= 0 && !srv->connected)
		unlinkat(srv->dir_fd, SOCKET_NAME, 0);
	if (srv->fd >= 0)
		close(srv->fd);
	if (srv->dir_fd >= 0)
		close(srv->dir_fd);
	free(srv);
}
