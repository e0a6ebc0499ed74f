// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fdpass.h"
#include "base/report.h"
#include "criu/page_command.h"
#include "services/lazy_keeper.h"
#include "services/lazy_kept.h"
#include "session/keeper.h"

#define TICK_MS		1000
#define END_MS		30000

/* Nobody needs what is kept; a CRIU that comes only now would be told nothing. Return: true when one came before that */
static bool is_needed_at_last(const struct lazy_kept *kept)
{
	for (size_t i = 0; i < kept->nr_restores; i++)
		if (!kept->restores[i].over && lazy_kept_is_open(kept->restores[i].listens))
			unlinkat(kept->work_fd, "lazy-pages.socket", 0);
	return lazy_kept_is_needed(kept);
}

/* A CRIU that has connected in the last moment sees it, and does not wait for the last word to the dump. */
static void close_others(int fd)
{
	if (fd > 3)
		close_range(3, fd - 1, 0);
	close_range(fd > 2 ? fd + 1 : 3, ~0U, 0);
}

static void drain(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int64_t until_ms = clock_now_ms() + END_MS;
	static uint8_t dropped[1 << 16];

	while (clock_now_ms() < until_ms && poll(&pfd, 1, until_ms - clock_now_ms()) > 0 &&
	       recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT) > 0)
		;
}

/*
 * The last word to the dump: that it is to end, when a restored program has all pages, and else that it has failed. By TLS
 * nothing can be said, and the end of the connection is a failure.
 */
static void end_link(const struct lazy_kept *kept)
{
	const struct linger linger = { .l_onoff = !kept->complete };
	/* of zeros: no command, also when the helper had said a part of one */
	uint8_t raw[4 * PAGE_COMMAND_WIDE] = { 0 };
	size_t bytes = sizeof(raw);

	if (kept->link < 0)
		return;
	close_others(kept->link);
	setsockopt(kept->link, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (kept->flags & LAZY_LINK_TLS)
		return;
	if (kept->complete)
		bytes = page_command_put(raw, kept->form, &(struct page_command){ .id = PAGE_COMMAND_FORCE_CLOSE });
	if (send(kept->link, raw, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) <= 0)
		return;
	/* CRIU waits for the end of the connection after its answer */
	shutdown(kept->link, SHUT_WR);
	drain(kept->link);
}

static int open_socket(struct lazy_kept *kept)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	unlinkat(kept->work_fd, LAZY_KEEPER_NAME, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" LAZY_KEEPER_NAME, kept->work_fd);
	kept->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	umask(0077);
	return kept->listen_fd < 0 || bind(kept->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	       listen(kept->listen_fd, 1) ? -1 : 0;
}

static int hand(int sock, enum lazy_handed what, size_t number, int fd)
{
	const struct lazy_handed_msg msg = { what, number };

	return !lazy_kept_is_open(fd) && what != LAZY_HANDED_END ? 0 : fdpass_send(sock, &msg, sizeof(msg), &fd, fd >= 0);
}

static int hand_pending(struct lazy_kept *kept, int sock)
{
	int ret = 0;

	for (size_t i = 0; i < JOURNAL_EVENTS && !ret; i++)
		ret = hand(sock, LAZY_HANDED_PENDING, i, kept->pending[i]);
	return ret;
}

static int hand_restores(struct lazy_kept *kept, int sock)
{
	int ret = 0;

	for (size_t i = 0; i < kept->nr_restores && !ret; i++)
		if (!kept->restores[i].over)
			ret = hand(sock, LAZY_HANDED_SERVER, i, kept->restores[i].fd) ||
			      hand(sock, LAZY_HANDED_LISTENER, i, kept->restores[i].listens);
	return ret;
}

/*
 * The new helper says that it has all when its own keeper runs: until then it may fail or be killed again, which hangs
 * up. A page server that is slow, or a signal that has stopped it, may hold it up: the dump hears meanwhile that no copy lives.
 * Return: true when it has all
 */
static bool hand_over(struct lazy_kept *kept, int sock)
{
	const struct timeval limit = { .tv_sec = END_MS / 1000 };
	struct lazy_handed_msg msg;
	int ret, fds[FDPASS_MAX];

	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	ret = hand(sock, LAZY_HANDED_JOURNAL, 0, kept->journal->fd);

	for (size_t i = 0; i < kept->nr && !ret; i++)
		ret = hand(sock, LAZY_HANDED_SPACE, i, kept->spaces[i].uffd);
	if (ret || hand_restores(kept, sock) || hand_pending(kept, sock) || hand(sock, LAZY_HANDED_LINK, 0, kept->link) ||
	    hand(sock, LAZY_HANDED_END, 0, -1))
		return false;
	do
		ret = fdpass_recv(sock, &msg, sizeof(msg), fds, TICK_MS);
	while (ret < 0 && errno == ETIMEDOUT && lazy_kept_is_needed(kept));
	return ret == 1;
}

static bool take_caller(struct lazy_kept *kept, int *caller)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);
	int fd = accept4(kept->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) && peer.uid == geteuid() &&
	       !journal_is_broken(kept->journal) && hand_over(kept, fd);
	if (done)
		*caller = fd;
	else
		close(fd);
	return done;
}

static void tell(const struct lazy_kept *kept)
{
	if (journal_is_broken(kept->journal))
		report_both("kept", NULL, "lazy-pages was killed, and what it knew is lost: the restored program waits for the pages that it lacks, and gets no zeros for them. It can only be killed; then the dumped one goes on");
	else if (lazy_kept_holds_dump(kept))
		report_both("kept", NULL, "a restored program has all of its memory, and lazy-pages ended before the page server was told, which needs its keys of TLS: the dumped program is held. The same command tells it to lazy-source; if the page server is criu dump itself, kill the dumped program, and then criu dump");
	else
		report_both("kept", NULL, "lazy-pages was killed: the restored program waits for the pages that it lacks, and gets no zeros for them. The same command takes up again");
}

static void leave_output(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* who reads it waits for its end */
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
}

static void keep(struct lazy_kept *kept)
{
	bool taken = false;
	int caller = -1;

	if (open_socket(kept))
		journal_break(kept->journal);
	tell(kept);
	leave_output();
	while (!taken && (lazy_kept_is_needed(kept) || is_needed_at_last(kept))) {
		struct pollfd pfd = { .fd = kept->listen_fd, .events = POLLIN };

		if (poll(&pfd, 1, TICK_MS) > 0)
			taken = take_caller(kept, &caller);
	}
	/* before the caller's own keeper can have that name */
	unlinkat(kept->work_fd, LAZY_KEEPER_NAME, 0);
	if (!taken)
		end_link(kept);
	/* to end with @caller open is to hang up */
}

void lazy_keeper_relieve(int old)
{
	const struct lazy_handed_msg msg = { .what = LAZY_HANDED_END };
	struct pollfd pfd = { .fd = old };

	fdpass_send(old, &msg, sizeof(msg), NULL, 0);
	while (poll(&pfd, 1, -1) <= 0)
		;
}

static void keeper_run(struct journal *journal, int work_fd, int helper_fd, int old)
{
	struct lazy_kept kept = { .journal = journal, .work_fd = work_fd, .listen_fd = -1, .link = -1 };
	struct pollfd helper = { .fd = helper_fd, .events = POLLIN };
	sigset_t set;

	prctl(PR_SET_NAME, "migrate-keeper");
	setsid();
	keeper_protect();
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (old >= 0) {
		lazy_keeper_relieve(old);
		close(old);
	}
	while (poll(&helper, 1, -1) <= 0)
		;
	lazy_kept_read(&kept);
	if (!kept.ended && (lazy_kept_is_needed(&kept) || is_needed_at_last(&kept)))
		keep(&kept);
	else if (!kept.ended)
		end_link(&kept);
	_exit(0);
}

int lazy_keeper_start(struct lazy_keeper *keeper, struct journal *journal, int work_dir_fd, int old, struct error *err)
{
	/* in the table that both have: the keeper closes this one, and the helper the other */
	int keepers = old < 0 ? -1 : fcntl(old, F_DUPFD_CLOEXEC, 0);
	int helper_fd = syscall(SYS_pidfd_open, getpid(), 0);

	*keeper = (struct lazy_keeper){ .journal = journal };
	if (helper_fd < 0 || (old >= 0 && keepers < 0))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
	fflush(NULL);
	keeper->pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!keeper->pid)
		keeper_run(journal, work_dir_fd, helper_fd, keepers);
	/* helper_fd is the keeper's too */
	return keeper->pid > 0 ? 0 : error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
}

void lazy_keeper_end(struct lazy_keeper *keeper)
{
	if (keeper->pid <= 0)
		return;
	journal_add(keeper->journal, LAZY_RECORD_END, 0, 0, 0, 0);
	kill(keeper->pid, SIGKILL);
	waitpid(keeper->pid, NULL, 0);
	keeper->pid = 0;
}
