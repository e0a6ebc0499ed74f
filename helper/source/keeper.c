// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "source/keeper.h"
#include "source/kept.h"

#define ANSWER_TIMEOUT_MS	30000
#define UNGUARD_TIMEOUT_MS	5000	/* the program stands meanwhile */

/**
 * struct source_keeper - the helper's end
 * @lock_fd: the helper's shared lock on the record of COMMIT; -1: there is none
 * @guard_lock_fd: the same of the guard's record
 */
struct source_keeper {
	pid_t pid;
	int sock, lock_fd, guard_lock_fd;
	char dir[PATH_MAX];
};

struct source_keeper *source_keeper_start(const struct record *record, const char *dir,
					  struct error *err)
{
	struct source_keeper *keeper = calloc(1, sizeof(*keeper));
	int pair[2] = { -1, -1 }, helper_fd = -1;

	if (!keeper || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		goto failed;
	helper_fd = syscall(SYS_pidfd_open, getpid(), 0);
	if (helper_fd < 0)
		goto failed;
	keeper->lock_fd = keeper->guard_lock_fd = -1;
	snprintf(keeper->dir, sizeof(keeper->dir), "%s", dir);
	fflush(NULL);
	keeper->pid = fork();
	if (!keeper->pid)
		source_kept_run(record, dir, pair[1], helper_fd);
	if (keeper->pid < 0)
		goto failed;
	close(pair[1]);
	close(helper_fd);
	keeper->sock = pair[0];
	return keeper;

failed:
	error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
	if (pair[0] >= 0) {
		close(pair[0]);
		close(pair[1]);
	}
	if (helper_fd >= 0)
		close(helper_fd);
	free(keeper);
	return NULL;
}

int source_keeper_fd(const struct source_keeper *keeper)
{
	return keeper->sock;
}

/* Return: 0, or -1; with *@dead set when the keeper gave no answer */
static int keeper_ask(struct source_keeper *keeper, struct keeper_msg *msg, const int *fds,
		      size_t nr_fds, int timeout_ms, bool *dead, struct error *err)
{
	struct pollfd pfd = { .fd = keeper->sock, .events = POLLIN };
	int ret;

	*dead = true;
	if (fdpass_try_send(keeper->sock, msg, sizeof(*msg), fds, nr_fds))
		return error_set(err, CODE_INTERNAL, NULL, "the keeper (pid %d) is dead",
				 keeper->pid);
	do {
		ret = poll(&pfd, 1, timeout_ms);
	} while (ret < 0 && errno == EINTR);
	if (ret <= 0 || recv(keeper->sock, msg, sizeof(*msg), 0) != sizeof(*msg))
		return error_set(err, CODE_INTERNAL, NULL,
				 "the keeper (pid %d) does not answer", keeper->pid);
	*dead = false;
	if (!error_is_set(&msg->err))
		return 0;
	if (!error_is_set(err))
		*err = msg->err;
	return -1;
}

/* A keeper that gave no answer must not act on the request later. */
static void keeper_end_it(struct source_keeper *keeper)
{
	kill(keeper->pid, SIGKILL);
	waitpid(keeper->pid, NULL, 0);
}

static int keeper_do_with(struct source_keeper *keeper, enum keeper_op op, const int *fds,
			  size_t nr_fds, int timeout_ms, struct error *err)
{
	struct keeper_msg msg = { .op = op, .limit_ms = timeout_ms };
	bool dead;
	int ret = keeper_ask(keeper, &msg, fds, nr_fds, timeout_ms, &dead, err);

	if (dead)
		keeper_end_it(keeper);
	return ret;
}

static int keeper_do(struct source_keeper *keeper, enum keeper_op op, int timeout_ms,
		     struct error *err)
{
	return keeper_do_with(keeper, op, NULL, 0, timeout_ms, err);
}

int source_keeper_keep(struct source_keeper *keeper, int session_fd, int uffd, struct error *err)
{
	const int fds[] = { session_fd, uffd };

	return keeper_do_with(keeper, OP_KEEP, fds, uffd >= 0 ? 2 : 0, ANSWER_TIMEOUT_MS, err);
}

int source_keeper_enter(struct source_keeper *keeper, struct error *err)
{
	return keeper_do(keeper, OP_ENTER, UNGUARD_TIMEOUT_MS, err);
}

int source_keeper_guard(struct source_keeper *keeper, int timeout_ms, struct error *err)
{
	int ret = keeper_do(keeper, OP_GUARD, timeout_ms, err);

	if (keeper->guard_lock_fd < 0)
		keeper->guard_lock_fd = record_lock(keeper->dir, RECORD_GUARD);
	return ret;
}

int source_keeper_unguard(struct source_keeper *keeper, struct error *err)
{
	if (keeper->guard_lock_fd >= 0)
		close(keeper->guard_lock_fd);
	keeper->guard_lock_fd = -1;
	return keeper_do(keeper, OP_UNGUARD, UNGUARD_TIMEOUT_MS, err);
}

int source_keeper_commit(struct source_keeper *keeper, int timeout_ms, bool *recorded,
			 struct error *err)
{
	int ret = keeper_do(keeper, OP_COMMIT, timeout_ms, err);

	/* a keeper without an answer is dead by now: the record will not come any more */
	keeper->lock_fd = record_lock(keeper->dir, RECORD_COMMIT);
	*recorded = !ret || keeper->lock_fd >= 0;
	return ret;
}

int source_keeper_uncommit(struct source_keeper *keeper, struct error *err)
{
	struct error why = { 0 };

	if (!keeper_do(keeper, OP_UNCOMMIT, UNGUARD_TIMEOUT_MS, &why))
		return 0;
	return record_remove(keeper->dir, RECORD_COMMIT, err);
}

int source_keeper_kill(struct source_keeper *keeper, struct error *err)
{
	return keeper_do(keeper, OP_KILL, ANSWER_TIMEOUT_MS, err);
}

void source_keeper_end(struct source_keeper *keeper, bool keep_log)
{
	struct keeper_msg msg = { .op = OP_END, .keep_log = keep_log };
	bool dead;

	if (!keeper)
		return;
	if (keeper_ask(keeper, &msg, NULL, 0, ANSWER_TIMEOUT_MS, &dead, &(struct error){ 0 })) {
		keeper_end_it(keeper);
		source_kept_remove_dir(keeper->dir, keep_log);
	} else {
		waitpid(keeper->pid, NULL, 0);
	}
	if (keeper->lock_fd >= 0)
		close(keeper->lock_fd);
	if (keeper->guard_lock_fd >= 0)
		close(keeper->guard_lock_fd);
	close(keeper->sock);
	free(keeper);
}
