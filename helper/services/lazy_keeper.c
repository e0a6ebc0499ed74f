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
#include <sys/ioctl.h>
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
#include "os/uffd.h"
#include "base/page.h"
#include "services/lazy_keeper.h"
#include "session/keeper.h"

#define TICK_MS		1000
#define END_MS		30000

/** struct kept_space - @uffd: -1: its process has ended, or its restore, @restore, has */
struct kept_space {
	int uffd;
	uint32_t restore;
};

/**
 * struct kept_restore - @fd: CRIU is there, or -1
 * @listens: it is waited for there, or -1
 * @over: the restore has ended, or all is restored
 */
struct kept_restore {
	int fd, listens;
	bool over;
};

/**
 * struct kept - what the journal says; used when the helper is dead
 * @spaces: by their numbers
 * @pending: of children whose birth was read, and not acted upon; else -1. Of this table: the helper that takes over writes
 *	its own numbers into the journal
 * @link, @form, @flags: of LAZY_RECORD_LINK
 * @complete: restores that have all of their memory
 */
struct kept {
	struct journal *journal;
	int work_fd, listen_fd;
	struct kept_space *spaces;
	size_t nr, complete, nr_restores;
	struct kept_restore *restores;
	int pending[JOURNAL_EVENTS], link;
	size_t form;
	unsigned int flags;
	bool ended;
};

static struct kept_space *space_at(struct kept *kept, size_t i)
{
	if (i >= kept->nr) {
		struct kept_space *more = reallocarray(kept->spaces, i + 64, sizeof(*more));

		if (!more)
			return NULL;
		for (size_t j = kept->nr; j < i + 64; j++)
			more[j] = (struct kept_space){ .uffd = -1 };
		kept->spaces = more;
		kept->nr = i + 64;
	}
	return &kept->spaces[i];
}

static struct kept_restore *restore_at(struct kept *kept, size_t i)
{
	if (i >= kept->nr_restores) {
		struct kept_restore *more = reallocarray(kept->restores, i + 1, sizeof(*more));

		if (!more)
			return NULL;
		for (size_t j = kept->nr_restores; j <= i; j++)
			more[j] = (struct kept_restore){ .fd = -1, .listens = -1 };
		kept->restores = more;
		kept->nr_restores = i + 1;
	}
	return &kept->restores[i];
}

static int add_space(struct kept *kept, size_t number, int uffd, uint32_t restore)
{
	struct kept_space *space = space_at(kept, number);

	if (!space)
		return -1;
	*space = (struct kept_space){ uffd, restore };
	return 0;
}

static int add_child(struct kept *kept, size_t number, const struct journal_entry *entry)
{
	struct kept_space *parent = space_at(kept, entry->space);
	struct uffd_msg msg;

	memcpy(&msg, entry->args, sizeof(msg));
	return parent ? add_space(kept, number, msg.arg.fork.ufd, parent->restore) : -1;
}

static int set_uffd(struct kept *kept, size_t number, int uffd)
{
	struct kept_space *space = space_at(kept, number);

	if (!space)
		return -1;
	space->uffd = uffd;
	return 0;
}

/* The helper closes them all, also those of processes that live, and have all of their pages. */
static void forget_spaces(struct kept *kept, uint32_t restore)
{
	for (size_t i = 0; i < kept->nr; i++)
		if (kept->spaces[i].restore == restore)
			kept->spaces[i].uffd = -1;
}

static int take_restore(struct kept *kept, const struct journal_entry *entry)
{
	struct kept_restore *restore = restore_at(kept, entry->space);

	if (!restore)
		return -1;
	switch (entry->op) {
	case LAZY_RECORD_LISTENS:
		restore->listens = (int)entry->args[0];
		return 0;
	case LAZY_RECORD_CONNECTED:
		restore->fd = (int)entry->args[0];
		restore->listens = -1;
		return 0;
	case LAZY_RECORD_REAPED:
		forget_spaces(kept, entry->space);
		kept->complete += entry->args[0];
		break;
	}
	restore->over = true;
	return 0;
}

static int take_entry(struct kept *kept, const struct journal_entry *entry, size_t *nr_spaces)
{
	struct uffd_msg msg;

	switch (entry->op) {
	case JOURNAL_ROOT:
		return add_space(kept, (*nr_spaces)++, entry->args[0], entry->args[2]);
	case JOURNAL_EVENT:
		memcpy(&msg, entry->args, sizeof(msg));
		return msg.event == UFFD_EVENT_FORK ? add_child(kept, (*nr_spaces)++, entry) : 0;
	case JOURNAL_BURY:
		return set_uffd(kept, entry->space, -1);
	case JOURNAL_FD:
		return set_uffd(kept, entry->space, entry->args[0]);
	case LAZY_RECORD_LINK:
		kept->link = (int)entry->args[0];
		kept->form = entry->args[1];
		kept->flags = entry->args[2];
		break;
	case LAZY_RECORD_LISTENS:
	case LAZY_RECORD_CONNECTED:
	case LAZY_RECORD_FINISHED:
	case LAZY_RECORD_REAPED:
		return take_restore(kept, entry);
	case LAZY_RECORD_END:
		kept->ended = true;
		break;
	}
	return 0;
}

static int pending_child(struct kept *kept, size_t i)
{
	uint32_t space;
	const struct uffd_msg *msg = journal_pending(kept->journal, i, &space);

	return msg && msg->event == UFFD_EVENT_FORK ? (int)msg->arg.fork.ufd : -1;
}

static void read_journal(struct kept *kept)
{
	size_t nr_spaces = 0;

	for (size_t i = 0; i < JOURNAL_EVENTS; i++)
		kept->pending[i] = pending_child(kept, i);

	for (uint64_t i = 0; i < journal_nr(kept->journal); i++)
		if (take_entry(kept, &kept->journal->entries[i], &nr_spaces))
			journal_break(kept->journal);
}

/* A number that the helper has closed without a record is nothing that is kept. */
static bool is_open(int fd)
{
	return fd >= 0 && fcntl(fd, F_GETFD) >= 0;
}

/* CRIU is there, or has left what nobody has read: userfaultfds, maybe, which only this socket has. */
static bool is_talking(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };
	int unread = 0;

	return is_open(fd) && (poll(&pfd, 1, 0) <= 0 || (!ioctl(fd, FIONREAD, &unread) && unread));
}

static bool has_caller(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return is_open(fd) && poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLIN);
}

static bool lives(int uffd)
{
	return is_open(uffd) && uffd_mapped(uffd, USER_END - 2 * PAGE_BYTES, 1) != UFFD_GONE;
}

/*
 * A copy has all pages, and the keys that are needed to say so are lost: criu dump would take each end for a failure, and two
 * programs would run. A lazy-source takes the word of a further helper.
 */
static bool holds_dump(const struct kept *kept)
{
	struct pollfd pfd = { .fd = kept->link, .events = POLLRDHUP };

	return kept->complete && (kept->flags & LAZY_LINK_TLS) && is_open(kept->link) && poll(&pfd, 1, 0) <= 0;
}

/* Whether somebody needs what is kept: a process that lives, a CRIU that still restores, or a dump that is to stand. */
static bool is_needed(const struct kept *kept)
{
	if (holds_dump(kept))
		return true;
	for (size_t i = 0; i < kept->nr; i++)
		if (lives(kept->spaces[i].uffd))
			return true;
	for (size_t i = 0; i < JOURNAL_EVENTS; i++)
		if (lives(kept->pending[i]))
			return true;
	for (size_t i = 0; i < kept->nr_restores; i++)
		if (!kept->restores[i].over &&
		    (is_talking(kept->restores[i].fd) || has_caller(kept->restores[i].listens)))
			return true;
	return false;
}

/* Nobody needs what is kept; a CRIU that comes only now would be told nothing. Return: true when one came before that */
static bool is_needed_at_last(const struct kept *kept)
{
	for (size_t i = 0; i < kept->nr_restores; i++)
		if (!kept->restores[i].over && is_open(kept->restores[i].listens))
			unlinkat(kept->work_fd, "lazy-pages.socket", 0);
	return is_needed(kept);
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
static void end_link(const struct kept *kept)
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

static int open_socket(struct kept *kept)
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

	return !is_open(fd) && what != LAZY_HANDED_END ? 0 : fdpass_send(sock, &msg, sizeof(msg), &fd, fd >= 0);
}

static int hand_pending(struct kept *kept, int sock)
{
	int ret = 0;

	for (size_t i = 0; i < JOURNAL_EVENTS && !ret; i++)
		ret = hand(sock, LAZY_HANDED_PENDING, i, kept->pending[i]);
	return ret;
}

static int hand_restores(struct kept *kept, int sock)
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
static bool hand_over(struct kept *kept, int sock)
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
	while (ret < 0 && errno == ETIMEDOUT && is_needed(kept));
	return ret == 1;
}

static bool take_caller(struct kept *kept, int *caller)
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

static void tell(const struct kept *kept)
{
	if (journal_is_broken(kept->journal))
		report_both("kept", NULL, "lazy-pages was killed, and what it knew is lost: the restored program waits for the pages that it lacks, and gets no zeros for them. It can only be killed; then the dumped one goes on");
	else if (holds_dump(kept))
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

static void keep(struct kept *kept)
{
	bool taken = false;
	int caller = -1;

	if (open_socket(kept))
		journal_break(kept->journal);
	tell(kept);
	leave_output();
	while (!taken && (is_needed(kept) || is_needed_at_last(kept))) {
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
	struct kept kept = { .journal = journal, .work_fd = work_fd, .listen_fd = -1, .link = -1 };
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
	read_journal(&kept);
	if (!kept.ended && (is_needed(&kept) || is_needed_at_last(&kept)))
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
