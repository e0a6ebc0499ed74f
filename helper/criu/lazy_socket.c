// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
 * @word: the next four bytes: a pid, or the finish marker
 * @word_bytes: number of them that came; with four the pid's descriptor is outstanding
 */
struct lazy_server {
	int dir_fd;
	int fd;
	bool connected;
	uint8_t word[4];
	size_t word_bytes;
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
	memcpy(srv->word, &word, sizeof(word));
	srv->word_bytes = word ? sizeof(word) : 0;
	return 0;
}

pid_t lazy_server_word(const struct lazy_server *srv)
{
	pid_t word = 0;

	if (srv->word_bytes == sizeof(word))
		memcpy(&word, srv->word, sizeof(word));
	return word;
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

static int word_done(struct lazy_server *srv, enum lazy_event *event, pid_t *pid,
		     struct error *err)
{
	uint32_t word;
	int32_t number;

	memcpy(&word, srv->word, sizeof(word));
	number = (int32_t)word;
	if (word == FINISHED) {
		*event = LAZY_FINISHED;
		srv->word_bytes = 0;
	} else if (number < 0 && number >= -PID_MAX) {
		*event = LAZY_TASK;
		*pid = -number;
		srv->word_bytes = 0;
	} else if (number <= 0 || number > PID_MAX) {
		*event = LAZY_LOST;
		return error_set(err, CODE_CRIU, NULL, "%#x on " SOCKET_NAME
				 " is not the pid of a task", word);
	}
	return 0;
}

static int next_word(struct lazy_server *srv, enum lazy_event *event, pid_t *pid,
		     struct error *err)
{
	int passed;
	ssize_t n = fdpass_recv_bytes(srv->fd, srv->word + srv->word_bytes,
				sizeof(srv->word) - srv->word_bytes, &passed, NULL);

	if (passed >= 0)
		close(passed);
	if (n <= 0)
		return recv_failed(n, event, err);
	srv->word_bytes += n;
	return srv->word_bytes == sizeof(srv->word) ? word_done(srv, event, pid, err) : 0;
}

static int next_uffd(struct lazy_server *srv, enum lazy_event *event, pid_t *pid, int *uffd,
		     struct error *err)
{
	char byte;
	ssize_t n = fdpass_recv_bytes(srv->fd, &byte, 1, uffd, NULL);

	if (n <= 0)
		return recv_failed(n, event, err);
	if (*uffd < 0) {
		*event = LAZY_LOST;
		return error_set(err, CODE_CRIU, NULL,
				 "no userfaultfd after the pid on " SOCKET_NAME);
	}
	memcpy(pid, srv->word, sizeof(*pid));
	srv->word_bytes = 0;
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
	if (srv->word_bytes < sizeof(srv->word))
		return next_word(srv, event, pid, err);
	return next_uffd(srv, event, pid, uffd, err);
}

void lazy_server_close(struct lazy_server *srv)
{
	if (!srv)
		return;
	if (srv->fd >= 0 && !srv->connected)
		unlinkat(srv->dir_fd, SOCKET_NAME, 0);
	if (srv->fd >= 0)
		close(srv->fd);
	if (srv->dir_fd >= 0)
		close(srv->dir_fd);
	free(srv);
}
