// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/spread.h"
#include "criu/attach.h"
#include "dest/program.h"
#include "os/cgroup_members.h"
#include "os/ns_pids.h"
#include "os/proc.h"
#include "os/proc_tree.h"

#define MAPPING_BYTES	(sizeof(struct vma) + sizeof(bool) + 32)	/* with its name, which is empty */

static const char hint_limits[] =
	"look at its limits (prlimit --pid PID) and at the memory of this machine";

void program_init(struct program *program, const char *id)
{
	char name[NAME_MAX];

	*program = (struct program){ .init_fd = -1 };
	snprintf(name, sizeof(name), "migrate-helper-%s-dest", id);
	/* first out of this helper's own limits, which are not the program's */
	if (cgroup_plan_mounted(&program->group, CGROUP_TOP, name))
		cgroup_plan(&program->group, 0, CGROUP_BELOW, name);
}

static void drop_processes(struct program *program)
{
	for (size_t i = 0; i < program->nr; i++)
		process_free(program->processes[i]);
	free(program->processes);
	program->processes = NULL;
	program->nr = 0;
}

void program_destroy(struct program *program)
{
	drop_processes(program);
	if (program->init_fd >= 0)
		close(program->init_fd);
	program->init_fd = -1;
}

static struct process *find(const struct program *program, pid_t pid)
{
	for (size_t i = 0; i < program->nr; i++)
		if (program->processes[i]->pid == pid)
			return program->processes[i];
	return NULL;
}

static int take_one(struct program *program, const Migrate__Process *said, struct error *err)
{
	struct process *process;

	if (find(program, said->pid))
		return error_set(err, CODE_PEER, NULL, "the source told of process %d twice",
				 said->pid);
	process = process_new(said, err);
	if (process)
		program->processes[program->nr++] = process;
	return process ? 0 : -1;
}

int program_take(struct program *program, const Migrate__RestoreGo *go, size_t max,
		 struct error *err)
{
	drop_processes(program);
	/* before any of them is compared with all others */
	if (go->n_processes > max)
		return error_set(err, CODE_PEER, NULL,
				 "the source told of %zu processes, and announced the memory of %zu",
				 go->n_processes, max);
	program->processes = calloc(go->n_processes + 1, sizeof(*program->processes));
	if (!program->processes)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for processes");
	for (size_t i = 0; i < go->n_processes; i++)
		if (take_one(program, go->processes[i], err))
			return -1;
	return find(program, program->root) ? 0 :
	       error_set(err, CODE_PEER, NULL, "the source did not tell of process %d",
			 program->root);
}

/* What the images have beyond the processes would run, and nobody would serve its memory. */
static int compare(const struct program *program, int images_fd, struct error *err)
{
	pid_t *pids;
	size_t nr;
	int ret = 0;

	if (criu_tree_read(images_fd, &pids, &nr, err))
		return -1;
	if (nr > program->nr)
		ret = error_set(err, CODE_PEER, NULL,
				"the images have %zu processes, the source told of %zu", nr,
				program->nr);
	for (size_t i = 0; i < nr && !ret; i++)
		if (!find(program, pids[i]))
			ret = error_set(err, CODE_PEER, NULL,
					"the images have process %d, which the source did not announce",
					pids[i]);
	if (!ret && pids[0] != program->root)
		ret = error_set(err, CODE_PEER, NULL, "the images are of task %d, announced was %d",
				pids[0], program->root);
	free(pids);
	return ret;
}

/* A mapping of a few bytes in an image takes some hundred here, of all processes at a time. */
static int pay_mappings(const struct process *process, struct budget *budget, struct error *err)
{
	return budget_take(budget, BUDGET_BOOKS, process->task.vmas.nr * MAPPING_BYTES, err);
}

/** struct reading - images of all processes */
struct reading {
	struct program *program;
	int images_fd;
	struct budget *budget;
};

static int read_one(void *ctx, size_t at, struct error *err)
{
	const struct reading *reading = ctx;
	struct process *process = reading->program->processes[at];

	return process_read_images(process, reading->images_fd, err) ||
	       pay_mappings(process, reading->budget, err) ? -1 : 0;
}

int program_read_images(struct program *program, int images_fd, struct budget *budget,
			struct error *err)
{
	struct reading reading = { .program = program, .images_fd = images_fd, .budget = budget };

	return compare(program, images_fd, err) || spread_run(program->nr, read_one, &reading, err) ? -1 : 0;
}

int program_spawn(struct program *program, struct keeper *keeper, int *rpc_fd, struct error *err)
{
	const struct nsinit_plan plan = {
		.task_pid = program->root, .own_cgroup_ns = program->own_cgroup_ns,
	};

	/* CRIU enters its group by itself: it is there when it has answered */
	if (keeper_spawn(keeper, &plan, rpc_fd, &program->init_pid, err) ||
	    criu_restore_warm(*rpc_fd, err))
		return -1;
	program->criu_pid = criu_attach_find(&program->group, err);
	if (!program->criu_pid)
		return -1;
	program->init_fd = proc_pidfd(program->init_pid, err);
	return program->init_fd < 0 ? -1 : 0;
}

/* Return: the process of the program that is seen here as @pid; NULL for any other */
static struct process *find_host(const struct program *program, pid_t pid, ino_t namespace)
{
	struct error ignored = { 0 };
	struct proc_status status;

	return namespace && !proc_status_alone(pid, &status, &ignored) &&
	       proc_ns(pid, "pid") == namespace ? find(program, status.ns_pid) : NULL;
}

/* The PID namespace of the program: that of the init, or below it one that begins with the root. */
static ino_t find_namespace(const struct program *program, const pid_t *pids, size_t nr)
{
	ino_t init = proc_ns(program->init_pid, "pid"), found = 0;
	struct error ignored = { 0 };
	struct proc_status status;

	if (program->root != NS_INIT_PID)
		return init;
	for (size_t i = 0; i < nr && !found; i++)
		if (!proc_status_alone(pids[i], &status, &ignored) && status.ns_pid == NS_INIT_PID)
			found = proc_ns(pids[i], "pid");
	return found == init ? 0 : found;
}

/** struct finding - a look for the processes among the @pids of the group; @namespace: that of the program */
struct finding {
	const struct program *program;
	const pid_t *pids;
	ino_t namespace;
};

static int find_one(void *ctx, size_t at, struct error *err)
{
	const struct finding *finding = ctx;
	struct process *process = find_host(finding->program, finding->pids[at], finding->namespace);

	if (process)
		process->host_pid = finding->pids[at];
	return 0;
}

/* Find all processes as they are seen here; @host_pid of one that is not in the group becomes 0. */
static int find_host_pids(struct program *program, struct error *err)
{
	struct finding finding = { .program = program };
	pid_t *pids;
	size_t nr;
	int ret;

	if (cgroup_pids(&program->group, &pids, &nr, err))
		return -1;
	program->pid_ns = finding.namespace = find_namespace(program, pids, nr);
	for (size_t i = 0; i < program->nr; i++)
		program->processes[i]->host_pid = 0;
	finding.pids = pids;
	ret = spread_run(nr, find_one, &finding, err);
	free(pids);
	return ret;
}

static int compare_pids(const void *left, const void *right)
{
	pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;

	return a < b ? -1 : a > b;
}

/*
 * Processes that are not in the group any more have died: @host_pid becomes 0. The group was frozen all the time, so that
 * no process has begun there, and none has another's pid.
 */
static int find_dead(struct program *program, struct error *err)
{
	pid_t *pids;
	size_t nr;

	if (cgroup_pids(&program->group, &pids, &nr, err))
		return -1;
	if (nr)
		qsort(pids, nr, sizeof(*pids), compare_pids);
	for (size_t i = 0; i < program->nr; i++) {
		struct process *process = program->processes[i];

		if (!nr || !bsearch(&process->host_pid, pids, nr, sizeof(*pids), compare_pids))
			process->host_pid = 0;
	}
	free(pids);
	return 0;
}

/** struct restoring - attributes of all processes; @available: CPUs that the program can have */
struct restoring {
	struct program *program;
	struct cpus available;
};

static int restore_one(void *ctx, size_t at, struct error *err)
{
	const struct restoring *restoring = ctx;
	struct process *process = restoring->program->processes[at];

	if (!process->host_pid)
		return error_set(err, CODE_CRIU, NULL, "the restored process %d is not there",
				 process->pid);
	return process_restore_attributes(process, &restoring->available, err);
}

static int restore_from_outside(struct program *program, struct error *err)
{
	const struct cgroup *group = &program->group;
	struct restoring restoring = { .program = program };

	if (find_host_pids(program, err) ||
	    cpus_available(&restoring.available, group->kind == CGROUP_V2 ? group->home : "", err))
		return -1;
	return spread_run(program->nr, restore_one, &restoring, err);
}

/* No process runs meanwhile: all are held, also those that make no call. */
static int restore_inside(struct program *program, struct error *err)
{
	struct remote_group all;
	bool needed = false;

	for (size_t i = 0; i < program->nr; i++)
		needed |= attributes_need_inside(&program->processes[i]->attributes);
	if (!needed)
		return 0;
	if (remote_group_hold(&all, &program->group, true, err))
		return -1;
	for (size_t i = 0; i < program->nr; i++)
		if (process_run_inside(program->processes[i], &all, err)) {
			remote_group_kill(&all);
			return -1;
		}
	return remote_group_release(&all, err);
}

int program_restore_attributes(struct program *program, struct control *ctl, struct error *err)
{
	if (restore_from_outside(program, err) || restore_inside(program, err))
		return -1;
	for (size_t i = 0; i < program->nr; i++)
		if (process_send_attributes(program->processes[i], ctl, err))
			return -1;
	return 0;
}

pid_t program_root_pid(const struct program *program)
{
	const struct process *root = find(program, program->root);

	return root ? root->host_pid : 0;
}

static int check_one(void *ctx, size_t at, struct error *err)
{
	const struct program *program = ctx;
	const struct process *process = program->processes[at];

	if (!process->host_pid)
		return error_set(err, CODE_CRIU, hint_limits,
				 "the restored process %d has died before it was started",
				 process->pid);
	return process_check(process, err);
}

int program_check(struct program *program, struct error *err)
{
	if (cgroup_wait_frozen(&program->group, err) || find_dead(program, err) ||
	    spread_run(program->nr, check_one, program, err))
		return -1;
	/* at last: of a group with processes and groups the kernel does not tell when it is frozen */
	for (size_t i = 0; i < program->nr; i++)
		process_enter_group(program->processes[i], &program->group);
	return 0;
}

int program_check_files(const struct program *program, struct opened *opened, struct error *err)
{
	pid_t *pids = calloc(program->nr + 1, sizeof(*pids));
	int ret;

	if (!pids)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for processes");
	for (size_t i = 0; i < program->nr; i++)
		pids[i] = program->processes[i]->host_pid;
	ret = opened_check(opened, pids, program->nr, err);
	free(pids);
	return ret;
}

static bool has_memory(pid_t pid)
{
	struct error ignored = { 0 };
	struct proc_status status;

	return !proc_status_alone(pid, &status, &ignored) && status.rss_bytes;
}

bool program_root_lives(const struct program *program)
{
	const struct process *root = find(program, program->root);

	/* the pid is another process's when the root was reaped */
	return root && root->host_pid && has_memory(root->host_pid) &&
	       find_host(program, root->host_pid, program->pid_ns) == root;
}

bool program_others_live(const struct program *program)
{
	struct error ignored = { 0 };
	bool live = false;
	pid_t *pids;
	size_t nr;

	if (proc_tree(program->init_pid, &pids, &nr, &ignored))
		return false;
	/* the init is the first one */
	for (size_t i = 1; i < nr && !live; i++)
		live = pids[i] != program_root_pid(program) && has_memory(pids[i]);
	free(pids);
	return live;
}

void program_kill(const struct program *program, pid_t pid)
{
	const struct process *process = find(program, pid);
	struct error ignored = { 0 };
	int fd = process && process->host_pid ? proc_pidfd(process->host_pid, &ignored) : -1;

	/* the pid may be another process's: the pidfd is of the one that is looked at now */
	if (fd >= 0 && find_host(program, process->host_pid, program->pid_ns) == process)
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	if (fd >= 0)
		close(fd);
}

bool program_has_ended(const struct program *program, int timeout_ms)
{
	struct pollfd init = { .fd = program->init_fd, .events = POLLIN };

	return poll(&init, 1, timeout_ms) > 0;
}
