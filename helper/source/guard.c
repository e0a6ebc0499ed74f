// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/spread.h"
#include "os/cgroup_homes.h"
#include "os/cgroup_members.h"
#include "os/pending.h"
#include "os/proc.h"
#include "os/proc_tree.h"
#include "source/blocked.h"
#include "source/guard.h"
#include "source/process.h"

#define FIT_ROUNDS		100	/* a program that forks all the time is followed so often */
#define KILL_TIMEOUT_MS		10000
#define REMOVE_TIMEOUT_MS	1000
#define CRIU_TIMEOUT_MS		30000	/* CRIU takes its code out of the program, and ends */

#define PREFIX			"migrate-helper-"
#define ID_DIGITS		32

/* Return: true when a group of @line, other than @own, is that of a guard: another migration has the process */
static bool is_of_another(const char *line, const char *own)
{
	for (const char *at = strstr(line, "/" PREFIX); at; at = strstr(at + 1, "/" PREFIX)) {
		const char *name = at + 1, *id = name + strlen(PREFIX);
		size_t bytes = strcspn(name, "/");

		if (strspn(id, "0123456789abcdef") == ID_DIGITS && bytes == strlen(PREFIX) + ID_DIGITS &&
		    (strlen(own) != bytes || strncmp(name, own, bytes)))
			return true;
	}
	return false;
}

/* Moved out of the other guard, which is frozen or will be, the process would run: here, and at the destination. */
static int check_owner(const struct guard *guard, pid_t pid, const char *line, struct error *err)
{
	const char *own = strrchr(guard->group.dir, '/');

	if (!is_of_another(line, own ? own + 1 : ""))
		return 0;
	return error_set(err, CODE_REFUSED, "migrate-helper status",
			 "process %d is in control group %s: another migration has it", pid, line);
}

int guard_plan(struct guard *guard, pid_t pid, bool was_stopped, const char *id,
	       struct error *err)
{
	char name[NAME_MAX];

	memset(guard, 0, sizeof(*guard));
	guard->pid = pid;
	guard->lock_fd = -1;
	guard->was_stopped = was_stopped;
	guard->pidfd = proc_pidfd(pid, err);
	if (guard->pidfd < 0)
		return -1;
	snprintf(name, sizeof(name), PREFIX "%s", id);
	cgroup_plan(&guard->group, pid, CGROUP_BELOW, name);
	snprintf(name, sizeof(name), PREFIX "%s-criu", id);
	cgroup_plan(&guard->criu, 0, CGROUP_TOP, name);
	if (!check_owner(guard, pid, guard->group.line, err))
		return 0;
	guard_close(guard);
	return -1;
}

static int send_signal(const struct guard *guard, int sig)
{
	return syscall(SYS_pidfd_send_signal, guard->pidfd, sig, NULL, 0);
}

static int stop_by_signal(struct guard *guard, struct error *err)
{
	guard->signalled = true;
	if (send_signal(guard, SIGSTOP))
		return error_errno(err, CODE_TARGET, NULL, "cannot stop process %d", guard->pid);
	return 0;
}

static bool has_pid(const pid_t *pids, size_t nr, pid_t pid)
{
	for (size_t i = 0; i < nr; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/*
 * Find the home of process @pid, which is @sub; *@inside: the guard's group has the process. Return: 1; 0 when the
 * process has ended; -1 with @err: all processes go back to the group of the root or below it, so that one in
 * another group is refused
 */
static int find_home(const struct guard *guard, pid_t pid, char sub[CGROUP_SUB_BYTES], bool *inside,
		     struct error *err)
{
	const struct cgroup *group = &guard->group;
	char line[PATH_MAX];

	if (cgroup_line(pid, group->kind, line, sizeof(line)))
		return errno == ENOENT || errno == ESRCH ? 0 :
		       error_errno(err, CODE_INTERNAL, NULL,
				   "cannot read the control group of process %d", pid);
	if (check_owner(guard, pid, line, err))
		return -1;
	if (!cgroup_homes_sub(group, line, sub, inside))
		return 1;
	return error_set(err, CODE_REFUSED, "move all of the program to one control group, or below it",
			 "process %d is in control group %s, and process %d in %s", pid, line,
			 guard->pid, group->line);
}

/* The threads of a process can be in several groups where a group is threaded: they would come back in one. */
static int check_type(const struct guard *guard, pid_t pid, const char *sub, struct error *err)
{
	char path[2 * PATH_MAX], type[32] = "domain";
	FILE *file;

	if (guard->group.kind != CGROUP_V2)
		return 0;
	snprintf(path, sizeof(path), "%s%s/cgroup.type", guard->group.home, sub);
	file = fopen(path, "re");
	if (file && fgets(type, sizeof(type), file))
		type[strcspn(type, "\n")] = 0;
	if (file)
		fclose(file);
	if (!strcmp(type, "domain"))
		return 0;
	return error_set(err, CODE_REFUSED, "let its threads be in one control group",
			 "process %d is in control group %s%s, which is %s", pid, guard->group.line, sub,
			 type);
}

static int refuse_frozen_home(const struct guard *guard, pid_t pid, const char *sub, struct error *err)
{
	return error_set(err, CODE_REFUSED, "thaw it, or the group above it that is frozen",
			 "process %d is in control group %s%s, which is frozen", pid,
			 guard->group.line, sub);
}

/*
 * The process would run at the destination. Where a group above the guard's is frozen, CRIU can thaw the guard's
 * group, and its code still never runs in the program: a CRIU that is killed then takes the program along.
 */
static int check_runs(const struct guard *guard, pid_t pid, const char *sub, struct error *err)
{
	struct cgroup home = { .kind = guard->group.kind };

	if (snprintf(home.dir, sizeof(home.dir), "%s%s", guard->group.home, sub) < (int)sizeof(home.dir) &&
	    (cgroup_is_told_to_freeze(&home) || cgroup_is_frozen_above(&home)))
		return refuse_frozen_home(guard, pid, sub, err);
	return 0;
}

/* Return: @sub is the home that was looked at last; if not, it is from now on */
static bool is_last(struct guard_home *last, const char *sub)
{
	if (last->known && !strcmp(last->sub, sub))
		return true;
	last->known = true;
	strcpy(last->sub, sub);
	return false;
}

int guard_check_homes(const struct guard *guard, struct guard_home *last, pid_t pid, struct error *err)
{
	char sub[CGROUP_SUB_BYTES];
	bool inside;
	int ret = find_home(guard, pid, sub, &inside, err);

	if (ret <= 0 || is_last(last, sub))
		return ret < 0 ? -1 : 0;
	return check_type(guard, pid, sub, err) || check_runs(guard, pid, sub, err) ? -1 : 0;
}

int guard_check_home(const struct guard *guard, pid_t pid, struct error *err)
{
	struct guard_home none = { 0 };

	return guard_check_homes(guard, &none, pid, err);
}

/**
 * struct entering - the processes @pids of the tree enter the group, which has those of @inside
 * @lock: of @last, the home that was looked at last
 * @moved: how many did
 */
struct entering {
	const struct guard *guard;
	pid_t *pids, *inside;
	size_t nr, nr_inside;
	pthread_mutex_t lock;
	struct guard_home last;
	atomic_int moved;
};

static int check_entry(struct entering *entering, pid_t pid, const char *sub, struct error *err)
{
	bool known;

	pthread_mutex_lock(&entering->lock);
	known = is_last(&entering->last, sub);
	pthread_mutex_unlock(&entering->lock);
	return known ? 0 : check_runs(entering->guard, pid, sub, err);
}

/* Return: 1 when the process was moved, 0 when the process is inside, or has ended; -1 with @err */
static int enter_one(struct entering *entering, pid_t pid, struct error *err)
{
	const struct guard *guard = entering->guard;
	char sub[CGROUP_SUB_BYTES];
	struct proc_status status;
	struct error why = { 0 };
	bool inside;
	int ret;

	if (proc_stat_read(pid, &status, &why)) {
		if (why.code == CODE_TARGET)
			return 0;
		*err = why;
		return -1;
	}
	if (source_process_has_exited(&status))
		return 0;
	ret = find_home(guard, pid, sub, &inside, &why);
	/* a daemon has left the program, and may be in any group by now */
	if (ret < 0 && proc_has_left(pid, guard->pid))
		return 0;
	if (ret < 0)
		*err = why;
	if (ret <= 0)
		return ret;
	if (!inside && check_entry(entering, pid, sub, err))
		return -1;
	/* the group never lists a process whose first thread has ended: its other threads go in */
	if (!cgroup_homes_add(&guard->group, pid, sub))
		return status.state != 'Z';
	if (errno == ESRCH)
		return 0;
	return error_errno(err, CODE_INTERNAL, NULL, "cannot move process %d to group %s", pid,
			   guard->group.dir);
}

/*
 * A process whose parent has ended since the process entered is a child of init's: CRIU does not dump
 * it, and it runs on. Return: as for enter_one()
 */
static int leave_one(const struct guard *guard, pid_t pid, struct error *err)
{
	if (!proc_has_left(pid, guard->pid))
		return 0;
	if (!cgroup_homes_back(&guard->group, pid))
		return 1;
	if (errno == ESRCH)
		return 0;
	return error_errno(err, CODE_INTERNAL, NULL,
			   "process %d left the program, and cannot be moved from group %s to %s", pid,
			   guard->group.dir, guard->group.home);
}

/* In any thread: a process forks no child outside of the group once it is inside, and fit() looks for those before. */
static int enter_at(void *ctx, size_t at, struct error *err)
{
	struct entering *entering = ctx;
	int ret = has_pid(entering->inside, entering->nr_inside, entering->pids[at]) ? 0 :
		  enter_one(entering, entering->pids[at], err);

	if (ret > 0)
		atomic_fetch_add(&entering->moved, 1);
	return ret < 0 ? -1 : 0;
}

/* Return: how many processes were moved, in or out, or -1 with @err */
static int fit_once(const struct guard *guard, struct error *err)
{
	struct entering entering = { .guard = guard, .lock = PTHREAD_MUTEX_INITIALIZER };
	int moved = 0, ret;

	if (cgroup_pids(&guard->group, &entering.inside, &entering.nr_inside, err))
		return -1;
	if (proc_tree(guard->pid, &entering.pids, &entering.nr, err)) {
		free(entering.inside);
		return -1;
	}
	ret = spread_run(entering.nr, enter_at, &entering, err);
	for (size_t i = 0; i < entering.nr_inside && ret >= 0; i++) {
		ret = has_pid(entering.pids, entering.nr, entering.inside[i]) ? 0 :
		      leave_one(guard, entering.inside[i], err);
		moved += ret > 0;
	}
	free(entering.inside);
	free(entering.pids);
	return ret < 0 ? -1 : moved + atomic_load(&entering.moved);
}

/*
 * Make the group hold the tree and no other process. Return: 0, also when the group was still not as
 * the tree is after the last round: *@fits tells; -1 with @err
 */
static int fit(const struct guard *guard, bool *fits, struct error *err)
{
	int moved = 1;

	/* a child of a process that was not inside yet is outside too */
	for (int i = 0; i < FIT_ROUNDS && moved > 0; i++)
		moved = fit_once(guard, err);
	*fits = !moved;
	return moved < 0 ? -1 : 0;
}

int guard_enter(struct guard *guard, struct error *err)
{
	bool fits;

	/* on a machine without freezer guard_on() sends SIGSTOP */
	if (guard->group.kind == CGROUP_NONE)
		return 0;
	if (cgroup_make(&guard->group, err))
		return -1;
	/* the kernel gives a pid to no other task while the first one lives */
	if (send_signal(guard, 0))
		return error_errno(err, CODE_TARGET, NULL, "process %d has exited", guard->pid);
	return fit(guard, &fits, err);
}

/* A group above the guard's may be frozen since the program entered. */
static int check_above(const struct guard *guard, struct error *err)
{
	struct error ignored = { 0 };
	struct proc_status status;

	if (!cgroup_is_frozen_above(&guard->group))
		return 0;
	/* CRIU has done its work, and could not be asked to undo it now: the program had better move */
	if (!proc_status_read(guard->pid, &status, &ignored) && status.tracer)
		return 0;
	return refuse_frozen_home(guard, guard->pid, "", err);
}

/* Which of them does not stand? */
static int explain(const struct guard *guard, struct error *err)
{
	struct blocked blocked;
	bool found = false;
	pid_t *pids;
	size_t nr;

	if (!cgroup_is_told_to_freeze(&guard->group) ||
	    cgroup_pids(&guard->group, &pids, &nr, &(struct error){ 0 }))
		return -1;
	for (size_t i = 0; i < nr && !found; i++)
		found = blocked_find(pids[i], &blocked);
	free(pids);
	return found ? blocked_say(&blocked, err) : -1;
}

/* The list of processes is exact only when they stand: the group is compared with it once more. */
static int freeze_group(struct guard *guard, bool entered, struct error *err)
{
	bool fits = false;

	/* no process that has entered is outside: children begin inside */
	if ((!entered && guard_enter(guard, err)) || check_above(guard, err))
		return -1;
	if (cgroup_freeze(&guard->group, err))
		return explain(guard, err);
	if (fit(guard, &fits, err))
		return -1;
	if (!fits)
		return error_set(err, CODE_REFUSED, "migrate again",
				 "process %d begins processes faster than they can be stopped",
				 guard->pid);
	return cgroup_wait_frozen(&guard->group, err) ? explain(guard, err) : 0;
}

int guard_on(struct guard *guard, struct error *err)
{
	bool entered = cgroup_exists(&guard->group);

	if (guard->group.kind == CGROUP_NONE)
		return stop_by_signal(guard, err);
	/* no signal in its place: it would stop the root alone, and no record would say so */
	if (cgroup_make(&guard->group, err))
		return -1;
	if (!freeze_group(guard, entered, err))
		return 0;
	guard_off(guard, &(struct error){ 0 });
	return -1;
}

static int compare(const struct guard *guard, struct error *err)
{
	const char *home = guard->group.line;
	char line[PATH_MAX];

	if (cgroup_line(guard->pid, guard->group.kind, line, sizeof(line)) || !strcmp(line, home))
		return 0;
	return error_set(err, CODE_INTERNAL, "move it back by hand",
			 "process %d was in cgroup %s and is in %s now", guard->pid, home, line);
}

int guard_off(struct guard *guard, struct error *err)
{
	/* a task that was stopped before the migration stays stopped */
	if (guard->signalled && !guard->was_stopped && send_signal(guard, SIGCONT))
		return error_errno(err, CODE_TARGET, NULL, "cannot continue process %d",
				   guard->pid);
	guard->signalled = false;
	if (!cgroup_exists(&guard->group))
		return 0;
	if (cgroup_thaw(&guard->group, err))
		return -1;
	/* a child that the program forked in the group leaves the group too */
	if (cgroup_empty(&guard->group, cgroup_homes_back))
		return error_errno(err, CODE_INTERNAL, "move them back by hand",
				   "processes of process %d cannot be moved from group %s to %s",
				   guard->pid, guard->group.dir, guard->group.home);
	cgroup_remove(&guard->group, REMOVE_TIMEOUT_MS);
	return compare(guard, err);
}

int guard_kill(struct guard *guard, struct error *err)
{
	bool in_group = cgroup_exists(&guard->group);

	if (send_signal(guard, SIGKILL) && errno != ESRCH)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot kill process %d", guard->pid);
	/* guard_on() has left nobody in the group who does not move, and the dump was compared with the tree */
	return in_group ? cgroup_kill(&guard->group, err) : 0;
}

/* Return: true when all processes of the group are gone, or go within KILL_TIMEOUT_MS */
static bool is_empty(const struct cgroup *group)
{
	const struct timespec tick = { .tv_nsec = 1000000 };

	for (int ms = 0; ms < KILL_TIMEOUT_MS; ms++) {
		if (cgroup_is_empty(group))
			return true;
		nanosleep(&tick, NULL);
	}
	return false;
}

int guard_wait_dead(struct guard *guard, struct error *err)
{
	struct pollfd pfd = { .fd = guard->pidfd, .events = POLLIN };
	int ret;

	do {
		ret = poll(&pfd, 1, KILL_TIMEOUT_MS);
	} while (ret < 0 && errno == EINTR);
	if (ret > 0 && is_empty(&guard->group))
		return 0;
	return error_set(err, CODE_INTERNAL, NULL, "process %d, or a child of it, was killed and does not die",
			 guard->pid);
}

bool guard_wait_end(struct guard *guard, int timeout_ms)
{
	struct pollfd pfd = { .fd = guard->pidfd, .events = POLLIN };
	uint64_t mask;

	if (poll(&pfd, 1, timeout_ms) > 0)
		return true;
	return guard->group.kind == CGROUP_V1 &&
	       !pending_read(guard->pid, &mask, &(struct error){ 0 }) && pending_has(mask, SIGKILL);
}

void guard_close(struct guard *guard)
{
	if (guard->pidfd >= 0)
		close(guard->pidfd);
	if (guard->lock_fd >= 0)
		close(guard->lock_fd);
	guard->pidfd = guard->lock_fd = -1;
}

void guard_forget(struct guard *guard)
{
	/* the pidfd becomes readable a moment before the last thread leaves the group */
	cgroup_remove(&guard->group, REMOVE_TIMEOUT_MS);
	cgroup_remove(&guard->criu, CRIU_TIMEOUT_MS);
}
