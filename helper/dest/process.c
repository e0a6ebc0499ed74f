// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "criu/attach.h"
#include "dest/journal.h"
#include "dest/process.h"
#include "dest/verify.h"
#include "os/pending.h"
#include "os/proc.h"

static const char hint_limits[] =
	"look at its limits (prlimit --pid PID) and at the memory of this machine";

void process_init(struct process *process, const char *id)
{
	char name[NAME_MAX];

	*process = (struct process){ .init_fd = -1 };
	snprintf(name, sizeof(name), "migrate-helper-%s-dest", id);
	/* a group at the top: the limits of this helper's own group are not the program's */
	if (cgroup_plan_mounted(&process->group, CGROUP_TOP, name))
		cgroup_plan(&process->group, 0, CGROUP_BELOW, name);
}

void process_destroy(struct process *process)
{
	criu_task_free(&process->task);
	attributes_free(&process->attributes);
	if (process->init_fd >= 0)
		close(process->init_fd);
	process->init_fd = -1;
}

int process_take(struct process *process, const Migrate__RestoreGo *go, struct error *err)
{
	process->pending = go->pending;
	process->oom_score_adj = go->oom_score_adj;
	return attributes_take(&process->attributes, go, err);
}

int process_read_images(struct process *process, int images_fd, struct error *err)
{
	if (criu_task_read(images_fd, &process->task, err))
		return -1;
	if (process->task.pid == process->pid)
		return 0;
	return error_set(err, CODE_PEER, NULL, "the images are of task %d, announced was %d",
			 process->task.pid, process->pid);
}

int process_spawn(struct process *process, struct keeper *keeper, int *rpc_fd, struct error *err)
{
	/* CRIU enters its group before it answers */
	if (keeper_spawn(keeper, process->pid, rpc_fd, &process->init_pid, err) ||
	    criu_restore_warm(*rpc_fd, err))
		return -1;
	process->criu_pid = criu_attach_find(&process->group);
	if (!process->criu_pid)
		return error_set(err, CODE_CRIU, NULL, "CRIU is not in the control group %s",
				 process->group.dir);
	process->init_fd = proc_pidfd(process->init_pid, err);
	return process->init_fd < 0 ? -1 : 0;
}

pid_t process_host_pid(const struct process *process, struct error *err)
{
	pid_t pid = verify_host_pid(process->init_pid, process->pid);

	if (!pid)
		error_set(err, CODE_CRIU, NULL, "the restored task %d is not there", process->pid);
	return pid;
}

int process_restore_attributes(struct process *process, struct control *ctl, struct error *err)
{
	pid_t pid = process_host_pid(process, err);

	process->host_pid = pid;
	if (!pid || attributes_restore(&process->attributes, pid, &process->task, &process->group,
				       err) ||
	    journal_streams_begin(process->attributes.wanted, pid, err))
		return -1;
	return attributes_send(&process->attributes, ctl, err);
}

/* A signal of a fault or a limit came at the destination: the source's copy goes on without it. */
static int check_pending(const struct process *process, pid_t pid, struct error *err)
{
	uint64_t mask;
	int sig;

	if (pending_read(pid, &mask, err))
		return -1;
	sig = pending_fault(mask, process->pending);
	if (!sig)
		return 0;
	return error_set(err, CODE_CRIU, hint_limits,
			 "the restored program would be killed by SIG%s (%s) when it is started",
			 sigabbrev_np(sig), strsignal(sig));
}

int process_check(const struct process *process, struct error *err)
{
	size_t nr;
	pid_t *pids;
	int ret;

	ret = cgroup_wait_frozen(&process->group, err);
	nr = ret ? 0 : cgroup_pids(&process->group, &pids);
	if (!ret && !nr)
		ret = error_set(err, CODE_CRIU, hint_limits,
				"the restored program has died before it was started");
	for (size_t i = 0; i < nr && !ret; i++)
		ret = check_pending(process, pids[i], err) ||
		      /* a program with 0 has inherited CRIU's own value */
		      proc_set_oom_score_adj(pids[i], process->oom_score_adj, err) ? -1 : 0;
	if (nr)
		free(pids);
	return ret;
}

bool process_lives(const struct process *process)
{
	struct error ignored = { 0 };
	pid_t pid = process_host_pid(process, &ignored);
	struct proc_status status;

	return pid && !proc_status_read(pid, &status, &ignored) && status.rss_bytes;
}

bool process_has_ended(const struct process *process, int timeout_ms)
{
	struct pollfd init = { .fd = process->init_fd, .events = POLLIN };

	return poll(&init, 1, timeout_ms) > 0;
}
