// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "dest/keeper.h"
#include "dest/kept.h"
#include "os/cgroup_members.h"
#include "os/proc.h"
#include "session/keeper.h"

#define CLEAN_UP_TIMEOUT_MS	10000
#define COMMIT_ANSWER_MS	10000	/* more than its init has for its answer */
#define PDEATH_TIMEOUT_MS	2000	/* the kernel kills the init a moment after the keeper's end */

/**
 * struct keeper - the helper's end
 * @kept: what the keeper has closed; used when it has died
 * @init_pid: of the namespace that it started; 0: none yet
 * @handles: so many were given
 * @ledger: the keeper writes STARTED there, and the helper when the keeper has died
 */
struct keeper {
	struct keeper_process process;
	atomic_int handles;
	pid_t init_pid;
	const struct owned_dir *dir;
	struct cgroup group;
	struct kept_addresses kept;
	struct ledger ledger;
};

struct keeper *keeper_start(const struct owned_dir *dir, const struct cgroup *group,
			    const struct ledger *ledger, struct error *err)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
		return NULL;
	}
	keeper->dir = dir;
	keeper->group = *group;
	keeper->ledger = *ledger;
	if (kept_start(&keeper->process, dir, group, ledger, err)) {
		free(keeper);
		return NULL;
	}
	return keeper;
}

int keeper_fd(const struct keeper *keeper)
{
	return keeper->process.sock;
}

pid_t keeper_pid(const struct keeper *keeper)
{
	return keeper->process.pid;
}

void keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return;
	keeper_process_close(&keeper->process);
	free(keeper);
}

/* @answer_fd: a descriptor that comes with the answer, or NULL */
static int keeper_ask(struct keeper *keeper, struct keeper_msg *msg, const int *fds,
		      size_t nr_fds, int *answer_fd, struct error *err)
{
	return keeper_process_ask(&keeper->process, msg, fds, nr_fds, answer_fd, KEEPER_ANSWER_MS,
				  err) == KEEPER_OK ? 0 : -1;
}

int keeper_hold(struct keeper *keeper, int fd, int *handle, struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_HOLD, .value = atomic_fetch_add(&keeper->handles, 1) };

	if (keeper_process_tell(&keeper->process, &msg, &fd, 1, err))
		return -1;
	*handle = msg.value;
	return 0;
}

int keeper_holds_all(struct keeper *keeper, struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_HOLDS_ALL };

	return keeper_ask(keeper, &msg, NULL, 0, NULL, err);
}

void keeper_release(struct keeper *keeper, int handle)
{
	struct keeper_msg msg = { .op = KEEPER_RELEASE, .value = handle };
	struct error ignored = { 0 };

	keeper_process_tell(&keeper->process, &msg, NULL, 0, &ignored);
}

int keeper_speak(struct keeper *keeper, int control_fd, struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_SPEAK };

	return keeper_ask(keeper, &msg, &control_fd, 1, NULL, err);
}

int keeper_spawn(struct keeper *keeper, const struct nsinit_plan *plan, int *rpc_fd,
		 pid_t *init_pid, struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_SPAWN };
	int fd = keeper_data_fd(plan, sizeof(*plan)), ret;

	if (fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot tell the keeper what is to be started");
	ret = keeper_ask(keeper, &msg, &fd, 1, rpc_fd, err);
	close(fd);
	if (ret)
		return -1;
	*init_pid = msg.value;
	keeper->init_pid = msg.value;
	return 0;
}

int keeper_close_addresses(struct keeper *keeper, const struct kept_addresses *kept,
			   struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_CLOSE };
	int fd = keeper_data_fd(kept, sizeof(*kept)), ret;

	if (fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot tell the keeper the addresses");
	keeper->kept = *kept;
	ret = keeper_ask(keeper, &msg, &fd, 1, NULL, err);
	keeper->kept.closed = !ret;
	close(fd);
	return ret;
}

int keeper_lend(struct keeper *keeper, int fd, int *number, struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_LEND };

	if (keeper_ask(keeper, &msg, &fd, 1, NULL, err))
		return -1;
	*number = msg.value;
	return 0;
}

/*
 * The keeper died in the middle. Its init has died with it, or was already told to outlive it. A
 * group that is thawed was thawed by the keeper: its tasks may have run, although they are dead.
 * Return: 0 when the tasks run, or have run
 */
static int commit_alone(struct keeper *keeper, size_t nr_processes, struct error *err)
{
	struct pollfd init = { .fd = proc_pidfd(keeper->init_pid, &(struct error){ 0 }),
			       .events = POLLIN };
	bool ended, gone;

	/* the kernel has told the init by then: before, the init's life says nothing */
	gone = keeper_process_wait(&keeper->process, PDEATH_TIMEOUT_MS);
	/* a disk may keep it: its init, and the program, would die with it later. Nothing has run */
	if (!gone && cgroup_is_told_to_freeze(&keeper->group)) {
		if (init.fd >= 0)
			close(init.fd);
		return error_set(err, CODE_INTERNAL, NULL, "the keeper is stuck");
	}
	ended = init.fd < 0 || poll(&init, 1, PDEATH_TIMEOUT_MS) > 0;
	if (init.fd >= 0)
		close(init.fd);
	/* an init cannot end while the v1 freezer keeps its killed tasks */
	if (cgroup_is_told_to_freeze(&keeper->group) &&
	    (ended || kept_check_alive(&keeper->group, nr_processes, err) ||
	     ledger_set(&keeper->ledger, LEDGER_STARTED, err) || cgroup_thaw(&keeper->group, err)))
		return -1;
	memset(err, 0, sizeof(*err));
	kept_addresses_open(&keeper->kept);
	kept_group_leave(&keeper->group);
	return 0;
}

int keeper_commit(struct keeper *keeper, size_t nr_processes, bool *started, struct error *err)
{
	struct keeper_msg msg = { .op = KEEPER_COMMIT, .value = nr_processes };
	enum keeper_answer answer = keeper_process_ask(&keeper->process, &msg, NULL, 0, NULL,
						       COMMIT_ANSWER_MS, err);
	int ret = answer == KEEPER_OK ? 0 : -1;

	/* an answer of the keeper's own is the truth; that it has none is only our word */
	if (answer == KEEPER_SILENT) {
		/* one that is stuck must not start anything later */
		keeper_process_kill(&keeper->process);
		ret = commit_alone(keeper, nr_processes, err);
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
		keeper_process_wait(&keeper->process, -1);
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
	keeper_process_kill(&keeper->process);
	/* the init waits for tasks that the v1 freezer keeps */
	cgroup_kill(&keeper->group, &(struct error){ 0 });
	gone = wait_init(init_fd);
	cgroup_remove(&keeper->group, KEPT_GROUP_TIMEOUT_MS);
	kept_addresses_forget(&keeper->kept, gone);
	owned_dir_remove(keeper->dir);
	return gone;
}

void keeper_clean_up(const struct owned_dir *dir, int init_fd)
{
	wait_init(init_fd);
	owned_dir_remove(dir);
}
