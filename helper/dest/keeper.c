// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dest/fdpass.h"
#include "dest/keeper.h"
#include "kernel/fds.h"
#include "kernel/pending.h"
#include "kernel/proc.h"

#define ANSWER_TIMEOUT_MS	30000
#define CLEAN_UP_TIMEOUT_MS	10000
#define COMMIT_ANSWER_MS	10000	/* more than its init has for its answer */
#define GROUP_TIMEOUT_MS	5000
#define PDEATH_TIMEOUT_MS	2000	/* the kernel kills the init a moment after the keeper's end */

enum keeper_op { KEEPER_HOLD = 1, KEEPER_RELEASE, KEEPER_SPAWN, KEEPER_COMMIT, KEEPER_ABORT,
		 KEEPER_DONE };

/* Request and answer; both ends are the same program. */
struct keeper_msg {
	enum keeper_op op;
	int value;		/* handle, pid of the init, whether the tasks were started */
	pid_t task_pid;
	struct error err;
};

/**
 * struct keeper - the helper's end
 * @lock: one request at a time; a leaf lock
 * @init_pid: of the namespace that it started; 0: none yet
 */
struct keeper {
	pthread_mutex_t lock;
	int sock;
	pid_t pid, init_pid;
	const struct owned_dir *dir;
	struct cgroup group;
};

/* The keeper process's own state. */
struct kept {
	const struct owned_dir *dir;
	int sock;		/* to the helper; -1 when it is gone */
	const struct cgroup *group;
	struct nsinit ns;
	int *fds;		/* index: handle; -1: free */
	size_t nr_fds;
	int signal;		/* by which the program was killed, 0 */
	bool committed;
};

static void kept_hold(struct kept *kept, int fd, struct keeper_msg *answer)
{
	size_t i = 0;
	int *fds;

	while (i < kept->nr_fds && kept->fds[i] >= 0)
		i++;
	if (i == kept->nr_fds) {
		fds = realloc(kept->fds, (i + 1) * sizeof(*fds));
		if (!fds || fd < 0) {
			error_set(&answer->err, CODE_INTERNAL, NULL,
				  "the keeper cannot hold one more descriptor");
			return;
		}
		kept->fds = fds;
		kept->nr_fds = i + 1;
	}
	kept->fds[i] = fd;
	answer->value = i;
}

static void kept_release(struct kept *kept, int handle)
{
	if (handle < 0 || (size_t)handle >= kept->nr_fds || kept->fds[handle] < 0)
		return;
	close(kept->fds[handle]);
	kept->fds[handle] = -1;
}

static void kept_release_all(struct kept *kept)
{
	for (size_t i = 0; i < kept->nr_fds; i++)
		kept_release(kept, i);
}

static int kept_spawn(struct kept *kept, pid_t task_pid, struct keeper_msg *answer)
{
	int rpc_fd = -1;

	if (cgroup_make(kept->group, &answer->err))
		return -1;
	if (nsinit_start(&kept->ns, task_pid, kept->group, &rpc_fd, &answer->err)) {
		nsinit_kill(&kept->ns, &answer->err);
		return -1;
	}
	answer->value = kept->ns.pid;
	return rpc_fd;
}

/* What was restored dies before it has run. */
static void kept_kill(struct kept *kept, struct error *err)
{
	/* the v1 freezer keeps killed tasks, and the init waits for them */
	cgroup_kill(kept->group);
	nsinit_kill(&kept->ns, err);
	cgroup_remove(kept->group, GROUP_TIMEOUT_MS);
}

static void kept_abort(struct kept *kept, struct error *err)
{
	/* first the tasks: as long as one lives, its missing pages must not read as zeros */
	kept_kill(kept, err);
	kept_release_all(kept);
	owned_dir_remove(kept->dir);
}

/* The group was only for the freezer: the program goes where the keeper is. */
static void group_leave(const struct cgroup *group)
{
	if (!cgroup_empty(group))
		cgroup_remove(group, GROUP_TIMEOUT_MS);
}

/* The v1 freezer keeps a killed task, which thawing would only let die. */
static int check_alive(const struct cgroup *group, struct error *err)
{
	struct error gone = { 0 };
	uint64_t mask;
	pid_t *pids;
	size_t nr = cgroup_pids(group, &pids);
	bool dead = !nr;

	for (size_t i = 0; i < nr && !dead; i++)
		dead = pending_read(pids[i], &mask, &gone) || pending_has(mask, SIGKILL);
	free(pids);
	return dead ? error_set(err, CODE_TARGET, NULL,
				"the restored program was killed before it was started") : 0;
}

static void kept_commit(struct kept *kept, struct keeper_msg *answer)
{
	if (!check_alive(kept->group, &answer->err) &&
	    !nsinit_commit(&kept->ns, &answer->err) &&
	    !cgroup_thaw(kept->group, &answer->err)) {
		answer->value = true;
		return;
	}
	kept->committed = false;
	kept_kill(kept, &(struct error){ 0 });
}

static bool kept_reap(struct kept *kept)
{
	int status;

	if (!kept->ns.pid || waitpid(kept->ns.pid, &status, WNOHANG) != kept->ns.pid)
		return false;
	kept->ns.pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) > NSINIT_SIGNALLED)
		kept->signal = WEXITSTATUS(status) - NSINIT_SIGNALLED;
	else if (WIFSIGNALED(status))
		/* the kernel killed the program with its init */
		kept->signal = WTERMSIG(status);
	return true;
}

/* Return: false when the keeper is to end */
static bool kept_request(struct kept *kept, const struct keeper_msg *msg, int *fds)
{
	struct keeper_msg answer = { .op = msg->op };
	bool go_on = true, started = false;
	int rpc_fd = -1;

	switch (msg->op) {
	case KEEPER_HOLD:
		kept_hold(kept, fds[0], &answer);
		fds[0] = -1;
		break;
	case KEEPER_RELEASE:
		kept_release(kept, msg->value);
		break;
	case KEEPER_SPAWN:
		rpc_fd = kept_spawn(kept, msg->task_pid, &answer);
		break;
	case KEEPER_COMMIT:
		/* before anything can run: from here on nothing is killed any more */
		kept->committed = true;
		kept_commit(kept, &answer);
		started = answer.value;
		break;
	case KEEPER_ABORT:
		if (kept->committed)
			error_set(&answer.err, CODE_INTERNAL, NULL, "COMMIT was said already");
		else
			kept_abort(kept, &answer.err);
		go_on = kept->committed;
		break;
	case KEEPER_DONE:
		kept_reap(kept);
		answer.value = kept->signal;
		kept_release_all(kept);
		owned_dir_remove(kept->dir);
		go_on = false;
		break;
	}
	fdpass_send(kept->sock, &answer, sizeof(answer), &rpc_fd, rpc_fd >= 0);
	if (rpc_fd >= 0)
		close(rpc_fd);
	if (started) {
		group_leave(kept->group);
		/* CRIU's images are of no use any more, and take memory */
		owned_dir_remove(kept->dir);
	}
	return go_on;
}

static bool kept_message(struct kept *kept)
{
	struct keeper_msg msg;
	int fds[FDPASS_MAX];
	bool go_on;

	if (fdpass_recv(kept->sock, &msg, sizeof(msg), fds, -1) != 1) {
		struct error ignored = { 0 };

		close(kept->sock);
		kept->sock = -1;
		if (!kept->committed)
			kept_abort(kept, &ignored);
		return kept->committed && kept->ns.pid;
	}
	go_on = kept_request(kept, &msg, fds);
	for (size_t i = 0; i < FDPASS_MAX; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return go_on;
}

static void kept_main(struct kept *kept, int signals)
{
	struct signalfd_siginfo info;
	bool go_on = true;

	while (go_on) {
		struct pollfd fds[] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = kept->sock, .events = POLLIN },
		};

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents && read(signals, &info, sizeof(info)) > 0)
			/* without a helper and without tasks there is nothing to hold for */
			go_on = !kept_reap(kept) || kept->sock >= 0;
		if (fds[1].revents)
			go_on = kept_message(kept);
	}
	if (kept->sock < 0)
		owned_dir_remove(kept->dir);
}

static void keeper_main(const struct owned_dir *dir, const struct cgroup *group, int sock)
{
	const int keep[] = { sock, dir->base_fd, dir->fd };
	struct kept kept = { .dir = dir, .group = group, .sock = sock, .ns = { .sock = -1 } };
	struct rlimit many = { .rlim_cur = 65536, .rlim_max = 65536 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), signals;
	sigset_t set;

	prctl(PR_SET_NAME, "migrate-keeper");
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	/* a connection that stayed open here would hide from the peer that the helper died */
	fds_close_others(keep, 3);
	setrlimit(RLIMIT_NOFILE, &many);
	if (chdir("/"))
		_exit(1);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		_exit(1);
	kept_main(&kept, signals);
	_exit(0);
}

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
		keeper_main(dir, group, pair[1]);
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

/* @answer_fd: a descriptor that comes with the answer, or NULL */
static int keeper_ask_within(struct keeper *keeper, struct keeper_msg *msg, const int *fds,
			     size_t nr_fds, int *answer_fd, int timeout_ms, struct error *err)
{
	int passed[FDPASS_MAX], ret;

	pthread_mutex_lock(&keeper->lock);
	ret = fdpass_send(keeper->sock, msg, sizeof(*msg), fds, nr_fds) ? 0 :
	      fdpass_recv(keeper->sock, msg, sizeof(*msg), passed, timeout_ms);
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
	    (ended || check_alive(&keeper->group, err) || cgroup_thaw(&keeper->group, err)))
		return -1;
	memset(err, 0, sizeof(*err));
	group_leave(&keeper->group);
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

static int keeper_end(struct keeper *keeper, enum keeper_op op, int *value, struct error *err)
{
	struct keeper_msg msg = { .op = op };
	int ret = keeper_ask(keeper, &msg, NULL, 0, NULL, err);

	if (!ret)
		waitpid(keeper->pid, NULL, 0);
	*value = ret ? -1 : msg.value;
	return ret;
}

int keeper_abort(struct keeper *keeper, struct error *err)
{
	int unused;

	return keeper_end(keeper, KEEPER_ABORT, &unused, err);
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

	/* the init waits for tasks that the v1 freezer keeps */
	cgroup_kill(&keeper->group);
	gone = wait_init(init_fd);
	cgroup_remove(&keeper->group, GROUP_TIMEOUT_MS);
	owned_dir_remove(keeper->dir);
	return gone;
}

void keeper_clean_up(const struct owned_dir *dir, int init_fd)
{
	wait_init(init_fd);
	owned_dir_remove(dir);
}
