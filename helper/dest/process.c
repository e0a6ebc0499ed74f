// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "dest/journal.h"
#include "dest/process.h"
#include "dest/tell.h"
#include "os/cgroup_homes.h"
#include "os/pending.h"
#include "os/proc.h"

static int take_group(struct process *process, const Migrate__Process *said, struct error *err)
{
	if (!said->sub_group)
		return 0;
	if (!cgroup_homes_is_sub(said->sub_group))
		return error_set(err, CODE_PEER, NULL, "the source named a wrong control group of process %d",
				 said->pid);
	process->sub_group = strdup(said->sub_group);
	return process->sub_group ? 0 :
	       error_errno(err, CODE_INTERNAL, NULL, "no memory for a process");
}

struct process *process_new(const Migrate__Process *said, struct error *err)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a process");
		return NULL;
	}
	process->pid = said->pid;
	if (!take_group(process, said, err) && !attributes_take(&process->attributes, said, err))
		return process;
	free(process->sub_group);
	free(process);
	return NULL;
}

void process_free(struct process *process)
{
	criu_task_free(&process->task);
	attributes_free(&process->attributes);
	free(process->sub_group);
	free(process);
}

int process_read_images(struct process *process, int images_fd, struct error *err)
{
	return criu_task_read(images_fd, process->pid, &process->task, err);
}

int process_restore_attributes(struct process *process, const struct cpus *available,
			       struct error *err)
{
	return attributes_restore(&process->attributes, process->host_pid, &process->task, available, err);
}

int process_run_inside(struct process *process, const struct remote_group *all, struct error *err)
{
	struct remote *remote;

	if (!attributes_need_inside(&process->attributes))
		return 0;
	remote = remote_group_find(all, process->host_pid, err);
	return remote ? attributes_run_inside(&process->attributes, remote, err) : -1;
}

int process_send_attributes(struct process *process, struct control *ctl, struct error *err)
{
	if (journal_streams_begin(process->attributes.wanted, process->host_pid, err))
		return -1;
	return attributes_send(&process->attributes, ctl, err);
}

void process_enter_group(const struct process *process, const struct cgroup *group)
{
	if (!process->sub_group || !cgroup_homes_add(group, process->host_pid, process->sub_group))
		return;
	tell("group", json_pack("{s:i,s:s}", "pid", process->pid, "group", process->sub_group),
	     "process %d cannot be in control group %s below that of serve: %s", process->pid,
	     process->sub_group, strerror(errno));
}

/* A signal that came here, of a fault or a limit: the source's copy goes on without it. */
static int check_pending(const struct process *process, struct error *err)
{
	uint64_t mask;
	int sig;

	if (pending_read(process->host_pid, &mask, err))
		return -1;
	sig = pending_fault(mask, process->attributes.wanted->pending);
	if (!sig)
		return 0;
	return error_set(err, CODE_CRIU,
			 "look at its limits (prlimit --pid PID) and at the memory of this machine",
			 "the restored process %d would be killed by SIG%s (%s) when it is started",
			 process->pid, sigabbrev_np(sig), strsignal(sig));
}

int process_check(const struct process *process, struct error *err)
{
	return check_pending(process, err) ||
	       /* CRIU leaves its own to a program that has 0 */
	       proc_set_oom_score_adj(process->host_pid, process->attributes.wanted->oom_score_adj,
				      err) ? -1 : 0;
}
