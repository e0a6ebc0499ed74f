// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "base/text.h"
#include "base/tls.h"
#include "wire/tls_link.h"
#include "wire/tls_process.h"

#define PROCESS_MS	(3 * TLS_HANDSHAKE_MS)	/* its own limits come before */
#define PAIR_BYTES	(64 << 10)	/* what waits in the pair is sent in no round's time */

/* The process finds its descriptors by number: where they come from must not be one of these numbers. */
static int raise_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, TLS_PROCESS_FDS);
}

/* @from: -1 in entries of descriptors that the process does not need */
static int spawn(pid_t *pid, const int from[TLS_PROCESS_FDS], char *const argv[], struct error *err)
{
	posix_spawn_file_actions_t actions;
	int raised[TLS_PROCESS_FDS];
	posix_spawnattr_t attr;
	int ret = 0;

	memset(raised, -1, sizeof(raised));
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	for (int i = TLS_PROCESS_SOCK; i < TLS_PROCESS_FDS && !ret; i++) {
		if (from[i] < 0) {
			/* the parent of this program may have left one open at that number */
			ret = posix_spawn_file_actions_addclose(&actions, i);
			continue;
		}
		raised[i] = raise_fd(from[i]);
		ret = raised[i] < 0 ? errno : posix_spawn_file_actions_adddup2(&actions, raised[i], i);
	}
	if (!ret)
		ret = posix_spawn(pid, "/proc/self/exe", &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < TLS_PROCESS_FDS; i++)
		if (raised[i] >= 0)
			close(raised[i]);
	errno = ret;
	return ret ? error_errno(err, CODE_INTERNAL, NULL, "cannot start a process for TLS") : 0;
}

/* Start it with the far ends of two socket pairs. */
static int start_with(struct tls_link *link, int fd, const int sock[2], const int pair[2], int keys_fds[TLS_FILES],
		      char *const argv[], struct error *err)
{
	int from[TLS_PROCESS_FDS], ret;
	pid_t pid;

	for (int i = 0; i < TLS_PROCESS_FDS; i++)
		from[i] = -1;
	from[TLS_PROCESS_SOCK] = sock[1];
	from[TLS_PROCESS_TCP] = fd;
	from[TLS_PROCESS_PAIR] = pair[1];
	for (int i = 0; i < TLS_FILES; i++)
		from[TLS_PROCESS_KEYS + i] = keys_fds[i];
	ret = spawn(&pid, from, argv, err);
	/* not reaped yet: the number is still its own */
	link->process = ret ? 0 : syscall(SYS_pidfd_open, pid, 0);
	if (!ret && link->process < 0) {
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot watch a process for TLS");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		link->process = 0;
	}
	return ret;
}

static int make_pairs(int sock[2], int pair[2], struct error *err)
{
	int bytes = PAIR_BYTES;

	if (fdpass_pair(sock))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a socket pair");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot make a socket pair");
		close(sock[0]);
		close(sock[1]);
		return -1;
	}
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return 0;
}

int tls_link_start(struct tls_link *link, int fd, bool server, const char *host,
		   const struct tls_keys *keys, struct error *err)
{
	char *const argv[] = {
		"migrate-helper", TLS_PROCESS_VERB, server ? "serve" : host ? "connect" : "given",
		keys->proof == TLS_PSK ? "psk" : "certificate", keys->no_ktls ? "user" : "kernel",
		(char *)(host ?: ""), NULL,
	};
	int key_fds[TLS_FILES], sock[2], pair[2], ret;

	*link = (struct tls_link){ .sock = -1, .pair = -1 };
	if (tls_keys_open(keys, key_fds, err))
		return -1;
	ret = make_pairs(sock, pair, err);
	if (!ret) {
		ret = start_with(link, fd, sock, pair, key_fds, argv, err);
		close(sock[1]);
		close(pair[1]);
		link->sock = sock[0];
		link->pair = pair[0];
	}
	tls_keys_close(key_fds);
	if (ret)
		tls_link_cancel(link);
	return ret;
}

/* The process has ended, or is about to; an acceptor may have reaped it. */
static void reap(struct tls_link *link)
{
	siginfo_t info;

	waitid(P_PIDFD, link->process, &info, WEXITED);
}

int tls_link_check_hello(int fd, struct error *err)
{
	static const struct tls_words words = {
		.other = "it", .plain = "it speaks no TLS, and neither --insecure nor --insecure-fds was said here",
	};

	return tls_check_hello(fd, 0, &words, err);
}

void tls_link_cancel(struct tls_link *link)
{
	if (link->process > 0) {
		syscall(SYS_pidfd_send_signal, link->process, SIGKILL, NULL, 0);
		reap(link);
		close(link->process);
	}
	if (link->sock > 0)
		close(link->sock);
	if (link->pair > 0)
		close(link->pair);
	*link = (struct tls_link){ .process = 0 };
}

static void make_text_safe(char *text, size_t size)
{
	char copy[sizeof(((struct error *)0)->what)];

	text[size - 1] = 0;
	text_printable(copy, size < sizeof(copy) ? size : sizeof(copy), text);
	strcpy(text, copy);
}

/* The process may have fallen to a stranger: nothing says that its texts end, or can be printed, and its code would be an exit status. */
static void make_safe(struct tls_peer *peer)
{
	make_text_safe(peer->name, sizeof(peer->name));
	make_text_safe(peer->words, sizeof(peer->words));
	make_text_safe(peer->err.what, sizeof(peer->err.what));
	make_text_safe(peer->err.hint, sizeof(peer->err.hint));
	if (error_is_set(&peer->err) && peer->err.code != CODE_NETWORK && peer->err.code != CODE_NOT_READY &&
	    peer->err.code != CODE_INTERNAL)
		peer->err.code = CODE_PEER;
}

int tls_link_finish(struct tls_link *link, int timeout_ms, struct conn *conn,
		    struct tls_peer *peer, struct error *err)
{
	int fds[FDPASS_MAX];
	int ret = fdpass_recv(link->sock, peer, sizeof(*peer), fds, timeout_ms);

	for (size_t i = 0; i < FDPASS_MAX; i++)
		if (ret == 1 && fds[i] >= 0)
			close(fds[i]);
	if (ret != 1) {
		tls_link_cancel(link);
		return error_set(err, CODE_NETWORK, NULL, ret < 0 && errno == ETIMEDOUT ?
				 "the TLS handshake did not end in time" :
				 "the process of the TLS handshake died");
	}
	make_safe(peer);
	if (error_is_set(&peer->err)) {
		*err = peer->err;
		tls_link_cancel(link);
		return -1;
	}
	if (peer->in_kernel) {
		close(link->sock);
		close(link->pair);
		/* it has nothing left to do; a process that was taken over would make this end wait, and keep the socket */
		syscall(SYS_pidfd_send_signal, link->process, SIGKILL, NULL, 0);
		reap(link);
	} else {
		conn->tcp = conn->fd;
		conn->fd = link->pair;
		conn->note = link->sock;
	}
	conn->in_kernel = peer->in_kernel;
	close(link->process);
	*link = (struct tls_link){ .process = 0 };
	return 0;
}

int tls_link_check_same(const struct tls_peer *first, const struct tls_peer *other, struct error *err)
{
	return strcmp(first->name, other->name) ?
	       error_set(err, CODE_PEER, NULL, "the connections of this migration lead to two machines, \"%s\" and \"%s\"",
			 first->name, other->name) : 0;
}

int tls_link_check_unlimited(const struct tls_peer *peer, struct error *err)
{
	return *peer->words ? error_set(err, CODE_USAGE, "give this end a list of its own, of names alone",
					"--allow says \"%s\" of \"%s\", which is for those who send programs", peer->words,
					peer->name) : 0;
}

/* @where: NULL: whoever opened the connection knows where it leads */
static int seal(struct conn *conn, const char *where, const struct tls_keys *keys,
		struct tls_peer *peer, struct error *err)
{
	struct tls_link link;
	char host[256];

	if (keys->proof == TLS_NONE)
		return 0;
	return (where && conn_host(where, host, sizeof(host), err)) ||
	       tls_link_start(&link, conn->fd, false, where ? host : NULL, keys, err) ||
	       tls_link_finish(&link, PROCESS_MS, conn, peer, err) ? -1 : 0;
}

static int introduce(struct conn *conn, const char *where, const uint8_t *id, const struct tls_keys *keys,
		     struct tls_peer *peer, struct error *err)
{
	if (seal(conn, where, keys, peer, err)) {
		conn_close(conn);
		return -1;
	}
	return conn_introduce(conn, id, err);
}

int tls_link_over(struct conn *conn, int fd, const uint8_t *id, const struct tls_keys *keys, struct tls_peer *peer,
		  struct error *err)
{
	conn->fd = fd;
	return introduce(conn, NULL, id, keys, peer, err);
}

int tls_link_open(struct conn *conn, const char *where, const uint8_t *id, const struct tls_keys *keys,
		  struct tls_peer *peer, struct error *err)
{
	conn->fd = conn_dial(where, err);
	return conn->fd < 0 ? -1 : introduce(conn, where, id, keys, peer, err);
}

int tls_link_connect(struct conn *conn, const char *where, enum conn_kind kind, const uint8_t *id,
		     const struct tls_keys *keys, struct tls_peer *peer, struct error *err)
{
	*conn = (struct conn){ .fd = -1, .kind = kind };
	return tls_link_open(conn, where, id, keys, peer, err);
}
