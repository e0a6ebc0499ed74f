// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
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
#include "os/uffd.h"
#include "base/page.h"
#include "services/lazy_keeper.h"
#include "session/keeper.h"

#define TICK_MS		1000
#define ANSWER_MS	30000
#define END_MS		30000

/** struct kept_restore - @fd: CRIU is there, or -1; @over: the restore has ended, or all is restored */
struct kept_restore {
	int fd;
	bool over;
};

/**
 * struct kept - what the journal says; used when the helper is dead
 * @uffds: by the number of the space; -1: its process has ended
 * @link, @form, @flags: of LAZY_RECORD_LINK
 * @complete: restores that have all of their memory
 */
struct kept {
	struct journal *journal;
	int work_fd, listen_fd;
	int *uffds;
	size_t nr, complete, nr_restores;
	struct kept_restore *restores;
	int link;
	size_t form;
	unsigned int flags;
	bool ended;
};

static int *uffd_at(struct kept *kept, size_t i)
{
	if (i >= kept->nr) {
		int *more = reallocarray(kept->uffds, i + 64, sizeof(*more));

		if (!more)
			return NULL;
		for (size_t j = kept->nr; j < i + 64; j++)
			more[j] = -1;
		kept->uffds = more;
		kept->nr = i + 64;
	}
	return &kept->uffds[i];
}

static struct kept_restore *restore_at(struct kept *kept, size_t i)
{
	if (i >= kept->nr_restores) {
		struct kept_restore *more = reallocarray(kept->restores, i + 1, sizeof(*more));

		if (!more)
			return NULL;
		for (size_t j = kept->nr_restores; j <= i; j++)
			more[j] = (struct kept_restore){ .fd = -1 };
		kept->restores = more;
		kept->nr_restores = i + 1;
	}
	return &kept->restores[i];
}

static int set_uffd(struct kept *kept, size_t number, int uffd)
{
	int *at = uffd_at(kept, number);

	if (!at)
		return -1;
	*at = uffd;
	return 0;
}

static int take_restore(struct kept *kept, const struct journal_entry *entry)
{
	struct kept_restore *restore = restore_at(kept, entry->space);

	if (!restore)
		return -1;
	if (entry->op == LAZY_RECORD_CONNECTED)
		restore->fd = (int)entry->args[0];
	else
		restore->over = true;
	kept->complete += entry->op == LAZY_RECORD_REAPED && entry->args[0];
	return 0;
}

static int take_entry(struct kept *kept, const struct journal_entry *entry, size_t *nr_spaces)
{
	struct uffd_msg msg;

	switch (entry->op) {
	case JOURNAL_ROOT:
		return set_uffd(kept, (*nr_spaces)++, entry->args[0]);
	case JOURNAL_EVENT:
		memcpy(&msg, entry->args, sizeof(msg));
		return msg.event == UFFD_EVENT_FORK ? set_uffd(kept, (*nr_spaces)++, msg.arg.fork.ufd) : 0;
	case JOURNAL_BURY:
		return set_uffd(kept, entry->space, -1);
	case JOURNAL_FD:
		return set_uffd(kept, entry->space, entry->args[0]);
	case LAZY_RECORD_LINK:
		kept->link = (int)entry->args[0];
		kept->form = entry->args[1];
		kept->flags = entry->args[2];
		break;
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

static void read_journal(struct kept *kept)
{
	size_t nr_spaces = 0;

	for (uint64_t i = 0; i < journal_nr(kept->journal); i++)
		if (take_entry(kept, &kept->journal->entries[i], &nr_spaces))
			journal_break(kept->journal);
}

static bool has_hung_up(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };

	return poll(&pfd, 1, 0) > 0;
}

/* Whether somebody needs what is kept: a process that lives, or a CRIU that still restores. */
static bool is_needed(const struct kept *kept)
{
	for (size_t i = 0; i < kept->nr; i++)
		if (kept->uffds[i] >= 0 &&
		    uffd_mapped(kept->uffds[i], USER_END - 2 * PAGE_BYTES, 1) != UFFD_GONE)
			return true;
	for (size_t i = 0; i < kept->nr_restores; i++)
		if (!kept->restores[i].over && kept->restores[i].fd >= 0 && !has_hung_up(kept->restores[i].fd))
			return true;
	return false;
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
 * nothing can be said: a reset is a failure, and a plain end is none.
 */
static void end_link(const struct kept *kept)
{
	const struct linger linger = { .l_onoff = !kept->complete };
	/* of zeros: no command, also when the helper had said a part of one */
	uint8_t raw[4 * PAGE_COMMAND_WIDE] = { 0 };
	size_t bytes = sizeof(raw);

	if (kept->link < 0)
		return;
	setsockopt(kept->link, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (kept->flags & LAZY_LINK_TLS)
		return;
	if (kept->complete)
		bytes = page_command_put(raw, kept->form, &(struct page_command){ .id = PAGE_COMMAND_FORCE_CLOSE });
	if (send(kept->link, raw, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
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

	return fd < 0 && what != LAZY_HANDED_END ? 0 : fdpass_send(sock, &msg, sizeof(msg), &fd, fd >= 0);
}

static int hand_pending(struct kept *kept, int sock)
{
	uint32_t space;

	for (size_t i = 0; i < JOURNAL_EVENTS; i++) {
		const struct uffd_msg *msg = journal_pending(kept->journal, i, &space);

		if (msg && msg->event == UFFD_EVENT_FORK &&
		    hand(sock, LAZY_HANDED_PENDING, i, msg->arg.fork.ufd))
			return -1;
	}
	return 0;
}

/* Return: true when the new helper has all of it */
static bool hand_over(struct kept *kept, int sock)
{
	int ret = hand(sock, LAZY_HANDED_JOURNAL, 0, kept->journal->fd), fds[FDPASS_MAX];
	struct lazy_handed_msg msg;

	for (size_t i = 0; i < kept->nr && !ret; i++)
		ret = hand(sock, LAZY_HANDED_SPACE, i, kept->uffds[i]);
	for (size_t i = 0; i < kept->nr_restores && !ret; i++)
		ret = kept->restores[i].over ? 0 : hand(sock, LAZY_HANDED_SERVER, i, kept->restores[i].fd);
	if (ret || hand_pending(kept, sock) || hand(sock, LAZY_HANDED_LINK, 0, kept->link) ||
	    hand(sock, LAZY_HANDED_END, 0, -1))
		return false;
	return fdpass_recv(sock, &msg, sizeof(msg), fds, ANSWER_MS) == 1;
}

static bool take_caller(struct kept *kept)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);
	int fd = accept4(kept->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) && peer.uid == geteuid() &&
	       !journal_is_broken(kept->journal) && hand_over(kept, fd);
	close(fd);
	return done;
}

static void tell(const struct kept *kept)
{
	if (journal_is_broken(kept->journal))
		report_both("kept", NULL, "lazy-pages was killed, and what it knew is lost: the restored program waits for the pages that it lacks, and gets no zeros for them. It can only be killed; then the dumped one goes on");
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

	if (open_socket(kept))
		journal_break(kept->journal);
	tell(kept);
	leave_output();
	while (!taken && is_needed(kept)) {
		struct pollfd pfd = { .fd = kept->listen_fd, .events = POLLIN };

		if (poll(&pfd, 1, TICK_MS) > 0)
			taken = take_caller(kept);
	}
	unlinkat(kept->work_fd, LAZY_KEEPER_NAME, 0);
	if (!taken)
		end_link(kept);
}

static void keeper_run(struct journal *journal, int work_fd, int helper_fd)
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
	while (poll(&helper, 1, -1) <= 0)
		;
	read_journal(&kept);
	if (!kept.ended && is_needed(&kept))
		keep(&kept);
	else if (!kept.ended)
		end_link(&kept);
	_exit(0);
}

int lazy_keeper_start(struct lazy_keeper *keeper, struct journal *journal, int work_dir_fd, struct error *err)
{
	int helper_fd = syscall(SYS_pidfd_open, getpid(), 0);

	*keeper = (struct lazy_keeper){ .journal = journal };
	if (helper_fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
	fflush(NULL);
	keeper->pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!keeper->pid)
		keeper_run(journal, work_dir_fd, helper_fd);
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
