// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "source/keeper.h"

#define ANSWER_TIMEOUT_MS	30000

enum keeper_op { OP_GUARD, OP_UNGUARD, OP_COMMIT, OP_KILL, OP_END };

/** struct keeper_msg - a request, and with @err filled its answer */
struct keeper_msg {
	enum keeper_op op;
	bool keep_log;
	struct error err;
};

struct source_keeper {
	pid_t pid;
	int sock;
	char dir[PATH_MAX], record[PATH_MAX];
};

/* The keeper process's own state. */
struct kept {
	struct guard guard;
	char dir[PATH_MAX], record[PATH_MAX];
	int sock;
	bool committed;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	remove(path);
	return 0;
}

static int remove_but_log(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_DP || strcmp(path + ftw->base, "dump.log"))
		remove(path);
	return 0;
}

static void remove_dir(const char *dir, bool keep_log)
{
	nftw(dir, keep_log ? remove_but_log : remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* On disk before it counts, and never half-written. */
static int record_commit(const struct kept *kept, struct error *err)
{
	char temp[PATH_MAX + 8];
	int fd, dir = open(kept->dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC), ret = -1;

	snprintf(temp, sizeof(temp), "%s.new", kept->record);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && dir >= 0 && dprintf(fd, "%d\n", kept->guard.pid) > 0 && !fsync(fd) &&
	    !rename(temp, kept->record) && !fsync(dir))
		ret = 0;
	if (ret)
		error_errno(err, CODE_INTERNAL, NULL, "cannot record COMMIT in %s", kept->record);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return ret;
}

/* Return: false when the keeper is to end */
static bool kept_request(struct kept *kept, struct keeper_msg *msg)
{
	memset(&msg->err, 0, sizeof(msg->err));
	switch (msg->op) {
	case OP_GUARD:
		guard_on(&kept->guard, &msg->err);
		break;
	case OP_UNGUARD:
		if (kept->committed)
			error_set(&msg->err, CODE_INTERNAL, NULL, "COMMIT is recorded already");
		else
			guard_off(&kept->guard, &msg->err);
		break;
	case OP_COMMIT:
		if (!record_commit(kept, &msg->err) || !access(kept->record, F_OK))
			kept->committed = true;
		break;
	case OP_KILL:
		guard_kill(&kept->guard, &msg->err);
		break;
	case OP_END:
		guard_forget(&kept->guard);
		remove_dir(kept->dir, msg->keep_log);
		break;
	}
	send(kept->sock, msg, sizeof(*msg), MSG_NOSIGNAL);
	return msg->op != OP_END;
}

/* The helper is dead. */
static void kept_alone(struct kept *kept)
{
	if (!kept->committed) {
		guard_off(&kept->guard, &(struct error){ 0 });
		guard_forget(&kept->guard);
		remove_dir(kept->dir, false);
		return;
	}
	/* it may run elsewhere: it stands here until somebody ends it */
	guard_wait_end(&kept->guard);
	guard_forget(&kept->guard);
	remove_dir(kept->dir, false);
}

static void keeper_main(struct kept *kept)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int low = kept->sock < kept->guard.pidfd ? kept->sock : kept->guard.pidfd;
	int high = kept->sock < kept->guard.pidfd ? kept->guard.pidfd : kept->sock;
	struct keeper_msg msg;
	sigset_t set;

	prctl(PR_SET_NAME, "migrate-keeper");
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (low > 3)
		close_range(3, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	if (chdir("/"))
		_exit(1);
	for (;;) {
		ssize_t n = recv(kept->sock, &msg, sizeof(msg), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(msg)) {
			kept_alone(kept);
			_exit(0);
		}
		if (!kept_request(kept, &msg))
			_exit(0);
	}
}

struct source_keeper *source_keeper_start(const struct guard *guard, const char *dir,
					  struct error *err)
{
	struct source_keeper *keeper = calloc(1, sizeof(*keeper));
	struct kept *kept = calloc(1, sizeof(*kept));
	int pair[2] = { -1, -1 };

	if (!keeper || !kept || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		goto failed;
	kept->guard = *guard;
	kept->sock = pair[1];
	snprintf(kept->dir, sizeof(kept->dir), "%s", dir);
	snprintf(kept->record, sizeof(kept->record), "%s/commit", dir);
	snprintf(keeper->dir, sizeof(keeper->dir), "%s", dir);
	snprintf(keeper->record, sizeof(keeper->record), "%s/commit", dir);
	fflush(NULL);
	keeper->pid = fork();
	if (!keeper->pid)
		keeper_main(kept);
	if (keeper->pid < 0)
		goto failed;
	close(pair[1]);
	free(kept);
	keeper->sock = pair[0];
	return keeper;

failed:
	error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
	if (pair[0] >= 0) {
		close(pair[0]);
		close(pair[1]);
	}
	free(kept);
	free(keeper);
	return NULL;
}

int source_keeper_fd(const struct source_keeper *keeper)
{
	return keeper->sock;
}

static int keeper_ask(struct source_keeper *keeper, struct keeper_msg *msg, struct error *err)
{
	struct pollfd pfd = { .fd = keeper->sock, .events = POLLIN };
	int ret;

	if (send(keeper->sock, msg, sizeof(*msg), MSG_NOSIGNAL) != sizeof(*msg))
		return error_set(err, CODE_INTERNAL, NULL, "the keeper (pid %d) is dead",
				 keeper->pid);
	do {
		ret = poll(&pfd, 1, ANSWER_TIMEOUT_MS);
	} while (ret < 0 && errno == EINTR);
	if (ret <= 0 || recv(keeper->sock, msg, sizeof(*msg), 0) != sizeof(*msg))
		return error_set(err, CODE_INTERNAL, NULL, "the keeper (pid %d) does not answer",
				 keeper->pid);
	if (!error_is_set(&msg->err))
		return 0;
	if (!error_is_set(err))
		*err = msg->err;
	return -1;
}

int source_keeper_guard(struct source_keeper *keeper, struct error *err)
{
	struct keeper_msg msg = { .op = OP_GUARD };

	return keeper_ask(keeper, &msg, err);
}

int source_keeper_unguard(struct source_keeper *keeper, struct error *err)
{
	struct keeper_msg msg = { .op = OP_UNGUARD };

	return keeper_ask(keeper, &msg, err);
}

int source_keeper_commit(struct source_keeper *keeper, bool *recorded, struct error *err)
{
	struct keeper_msg msg = { .op = OP_COMMIT };
	int ret = keeper_ask(keeper, &msg, err);

	*recorded = !ret || !access(keeper->record, F_OK);
	return ret;
}

int source_keeper_kill(struct source_keeper *keeper, struct error *err)
{
	struct keeper_msg msg = { .op = OP_KILL };

	return keeper_ask(keeper, &msg, err);
}

void source_keeper_end(struct source_keeper *keeper, bool keep_log)
{
	struct keeper_msg msg = { .op = OP_END, .keep_log = keep_log };

	if (!keeper)
		return;
	if (keeper_ask(keeper, &msg, &(struct error){ 0 }))
		remove_dir(keeper->dir, keep_log);
	else
		waitpid(keeper->pid, NULL, 0);
	close(keeper->sock);
	free(keeper);
}
