// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "dest/keeper.h"
#include "dest/kept.h"
#include "os/proc.h"

#define ANSWER_TIMEOUT_MS	30000
#define CLEAN_UP_TIMEOUT_MS	10000
#define COMMIT_ANSWER_MS	10000	/* more than its init has for its answer */
#define PDEATH_TIMEOUT_MS	2000	/* the kernel kills the init a moment after the keeper's end */

/**
 * struct keeper - the helper's end
 * @lock: one request at a time; a leaf lock
 * @init_pid: of the namespace that it started; 0: none yet
 * @seq: of the last request
 */
struct keeper {
	pthread_mutex_t lock;
	int sock;
	unsigned int seq;
	pid_t pid, init_pid;
	const struct owned_dir *dir;
	struct cgroup group;
};

struct keeper *keeper_start(const struct owned_dir *dir, const struct cgroup *group,
			    struct error *err)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int pair[2];

	if (!keeper || fdpass_pair(pair)) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
		free(keeper);
		return NULL;
	}
	keeper->pid = fork();
	if (!keeper->pid)
		kept_run(dir, group, pair[1]);
	close(pair[1]);
	if (keeper->pid < 0) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
		close(pair[0]);
		free(keeper);
		return NULL;
	}
	keeper->sock = pair[0];
	keeper->dir = dir;
	keeper->group = *group;
	pthread_mutex_init(&keeper->lock, NULL);
	return keeper;
}

int keeper_fd(const struct keeper *keeper)
{
	return keeper->sock;
}

pid_t keeper_pid(const struct keeper *keeper)
{
	return keeper->pid;
}

void keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return;
	close(keeper->sock);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

/*
 * The answer to the last request. One to an earlier request, which was not waited for, is dropped: it
 * must not be taken for this one's.
 */
static int recv_answer(struct keeper *keeper, struct keeper_msg *msg, int *passed, int timeout_ms)
{
	for (;;) {
		int ret = fdpass_recv(keeper->sock, msg, sizeof(*msg), passed, timeout_ms);

		if (ret != 1 || msg->seq == keeper->seq)
			return ret;
		for (size_t i = 0; i < FDPASS_MAX; i++)
			if (passed[i] >= 0)
				close(passed[i]);
	}
}

/* @answer_fd: a descriptor that comes with the answer, or NULL */
static int keeper_ask_within(struct keeper *keeper, struct keeper_msg *msg, const int *fds,
			     size_t nr_fds, int *answer_fd, int timeout_ms, struct error *err)
{
	int passed[FDPASS_MAX], ret;

	pthread_mutex_lock(&keeper->lock);
	msg->seq = ++keeper->seq;
	ret = fdpass_send(keeper->sock, msg, sizeof(*msg), fds, nr_fds) ? 0 :
	      recv_answer(keeper, msg, passed, timeout_ms);
	pthread_mutex_unlock(&keeper->lock);
	if (ret != 1)
		return error_set(err, CODE_INTERNAL, NULL, "the keeper (pid %d) has ended",
				 keeper->pid);
	if (answer_fd)
		*answer_fd = passed[0];
	if (!error_is_set(&msg->err))
		return 0;
	*err = msg->err;
	return -1;
}

static int keeper_ask(struct keeper *keeper, struct keeper_msg *msg, const int *fds,
		      size_t nr_fds, int *answer_fd, struct error *err)
{
	return keeper_ask_within(keeper, msg, fds, nr_fds, answer_fd, ANSWER_TIMEOUT_MS, err);
}

int keeper_hold(struct keeper *keeper, int fd, int *handle, struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_HOLD };

	if (keeper_ask(keeper, &msg, &fd, 1, NULL, err))
		return -1;
	*handle = msg.value;
	return 0;
}

void keeper_release(struct keeper *keeper, int handle)
{
	struct keeper_msg msg = { .op = KEEPER_RELEASE, .value = handle };
	struct error ignored = { 0 };

	keeper_ask(keeper, &msg, NULL, 0, NULL, &ignored);
}

int keeper_speak(struct keeper *keeper, int control_fd, struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_SPEAK };

	return keeper_ask(keeper, &msg, &control_fd, 1, NULL, err);
}

int keeper_spawn(struct keeper *keeper, pid_t task_pid, int *rpc_fd, pid_t *init_pid,
		 struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_SPAWN, .task_pid = task_pid };

	if (keeper_ask(keeper, &msg, NULL, 0, rpc_fd, err))
		return -1;
	*init_pid = msg.value;
	keeper->init_pid = msg.value;
	return 0;
}

/* Until the kernel has told the init of the keeper's end: before it, the init's life says nothing. */
static void wait_keeper(const struct keeper *keeper)
{
	struct timespec tick = { .tv_nsec = 1000000 };

	for (int ms = 0; ms < PDEATH_TIMEOUT_MS && !waitpid(keeper->pid, NULL, WNOHANG); ms++)
		nanosleep(&tick, NULL);
}

/*
 * The keeper died in the middle. Its init has died with it, or was already told to outlive it. A
 * group that is thawed was thawed by the keeper: its tasks may have run, although they are dead.
 * Return: 0 when the tasks run, or have run
 */
static int commit_alone(struct keeper *keeper, struct error *err)
{
	struct pollfd init = { .fd = proc_pidfd(keeper->init_pid, &(struct error){ 0 }),
			       .events = POLLIN };
	bool ended;

	wait_keeper(keeper);
	ended = init.fd < 0 || poll(&init, 1, PDEATH_TIMEOUT_MS) > 0;
	if (init.fd >= 0)
		close(init.fd);
	/* an init cannot end while the v1 freezer keeps its killed tasks */
	if (cgroup_is_told_to_freeze(&keeper->group) &&
	    (ended || kept_check_alive(&keeper->group, err) || cgroup_thaw(&keeper->group, err)))
		return -1;
	memset(err, 0, sizeof(*err));
	kept_group_leave(&keeper->group);
	return 0;
}

int keeper_commit(struct keeper *keeper, bool *started, struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_COMMIT };
	int ret = keeper_ask_within(keeper, &msg, NULL, 0, NULL, COMMIT_ANSWER_MS, err);

	/* an answer of the keeper's own is the truth; that it has none is only our word */
	if (ret && !error_is_set(&msg.err)) {
		/* one that is stuck must not start anything later */
		kill(keeper->pid, SIGKILL);
		ret = commit_alone(keeper, err);
	}
	*started = !ret;
	return ret;
}

int keeper_abort(struct keeper *keeper, struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_ABORT };

	return keeper_ask(keeper, &msg, NULL, 0, NULL, err);
}

static int keeper_end(struct keeper *keeper, enum keeper_op op, int *value, struct error *err)
{
	struct keeper_msg msg = { .op = op };
	int ret = keeper_ask(keeper, &msg, NULL, 0, NULL, err);

	if (!ret)
		waitpid(keeper->pid, NULL, 0);
	*value = ret ? -1 : msg.value;
	return ret;
}

int keeper_said(struct keeper *keeper, struct error *err)
{
	int unused;

	return keeper_end(keeper, KEEPER_SAID, &unused, err);
}

int keeper_done(struct keeper *keeper, int *signal, struct error *err)
{
	return keeper_end(keeper, KEEPER_DONE, signal, err);
}

/* Return: true when the namespace's init has ended, and everything with it */
static bool wait_init(int init_fd)
{
	struct pollfd ended = { .fd = init_fd, .events = POLLIN };

	return init_fd < 0 || poll(&ended, 1, CLEAN_UP_TIMEOUT_MS) > 0;
}

bool keeper_undo(struct keeper *keeper, int init_fd)
{
	bool gone;

	/* one that is only stuck would stay */
	kill(keeper->pid, SIGKILL);
	/* the init waits for tasks that the v1 freezer keeps */
	cgroup_kill(&keeper->group);
	gone = wait_init(init_fd);
	cgroup_remove(&keeper->group, KEPT_GROUP_TIMEOUT_MS);
	owned_dir_remove(keeper->dir);
	return gone;
}

void keeper_clean_up(const struct owned_dir *dir, int init_fd)
{
	wait_init(init_fd);
	owned_dir_remove(dir);
}
