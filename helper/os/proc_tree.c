// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/spread.h"
#include "os/proc.h"
#include "os/proc_tree.h"

#define CLIMBS	10	/* how often a chain of parents is read that ends while it is read */

/** struct brood - the children of process @of, @before of them from threads that were read before; @failed: errno */
struct brood {
	struct proc_child *list;
	pid_t of;
	size_t nr, before;
	int failed;
};

/* A thread that ends meanwhile leaves its children to another thread, which lists them once more. */
static bool brood_has(const struct brood *brood, pid_t pid)
{
	for (size_t i = 0; i < brood->before; i++)
		if (brood->list[i].pid == pid)
			return true;
	return false;
}

static void brood_add(struct brood *brood, pid_t pid)
{
	struct proc_child *list;

	if (brood_has(brood, pid))
		return;
	list = reallocarray(brood->list, brood->nr + 1, sizeof(*list));
	if (!list)
		brood->failed = errno;
	if (!list)
		return;
	brood->list = list;
	list[brood->nr++] = (struct proc_child){ .pid = pid, .parent = brood->of };
}

static int add_children(void *ctx, pid_t tid)
{
	struct brood *brood = ctx;
	char name[48], *text, *at, *end;
	long pid;

	brood->before = brood->nr;
	snprintf(name, sizeof(name), "task/%d/children", tid);
	text = proc_text(brood->of, name);
	/* a thread that has ended has no children; whatever else fails would leave processes out */
	if (!text && errno != ENOENT && errno != ESRCH)
		brood->failed = errno;
	for (at = text; at; at = end) {
		pid = strtol(at, &end, 10);
		if (end == at)
			break;
		brood_add(brood, pid);
	}
	free(text);
	return 0;
}

/** struct level - the processes that are equally far from the root; @is_root: the root itself */
struct level {
	struct brood *broods;
	bool is_root;
};

static int read_brood(void *ctx, size_t at, struct error *err)
{
	const struct level *level = ctx;
	struct brood *brood = &level->broods[at];

	/* a child may end meanwhile; its children have another parent then */
	return proc_threads(brood->of, add_children, brood, err) &&
	       (level->is_root || err->code != CODE_TARGET) ? -1 : 0;
}

/* The next level, in the order of the parents. Return: -1 with errno */
static int add_level(const struct level *level, size_t parents, struct proc_child **list, size_t *nr)
{
	struct proc_child *more;
	size_t all = *nr;

	for (size_t i = 0; i < parents; i++) {
		errno = level->broods[i].failed;
		if (errno)
			return -1;
		all += level->broods[i].nr;
	}
	more = reallocarray(*list, all, sizeof(*more));
	if (!more)
		return -1;
	*list = more;
	for (size_t i = 0; i < parents; i++)
		for (size_t j = 0; j < level->broods[i].nr; j++)
			more[(*nr)++] = level->broods[i].list[j];
	return 0;
}

/* @from: the first of the level that is looked at, which is the end of the list */
static int walk_level(struct proc_child **list, size_t *nr, size_t from, struct error *err)
{
	size_t parents = *nr - from;
	struct level level = { .broods = calloc(parents, sizeof(*level.broods)), .is_root = !from };
	int ret = level.broods ? 0 : error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of processes");

	for (size_t i = 0; !ret && i < parents; i++)
		level.broods[i].of = (*list)[from + i].pid;
	if (!ret)
		ret = spread_run(parents, read_brood, &level, err);
	if (!ret && add_level(&level, parents, list, nr))
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot list the processes below process %d",
				  (*list)->pid);
	for (size_t i = 0; level.broods && i < parents; i++)
		free(level.broods[i].list);
	free(level.broods);
	return ret;
}

int proc_children(pid_t root, struct proc_child **list, size_t *nr, struct error *err)
{
	int ret = 0;

	*nr = 0;
	*list = calloc(1, sizeof(**list));
	if (!*list)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of processes");
	(*list)[(*nr)++].pid = root;
	for (size_t from = 0, end; from < *nr && !ret; from = end) {
		end = *nr;
		ret = walk_level(list, nr, from, err);
	}
	if (!ret)
		return 0;
	free(*list);
	*list = NULL;
	*nr = 0;
	return -1;
}

int proc_tree(pid_t root, pid_t **pids, size_t *nr, struct error *err)
{
	struct proc_child *list;

	*pids = NULL;
	if (proc_children(root, &list, nr, err))
		return -1;
	*pids = calloc(*nr, sizeof(**pids));
	for (size_t i = 0; *pids && i < *nr; i++)
		(*pids)[i] = list[i].pid;
	free(list);
	if (*pids)
		return 0;
	*nr = 0;
	return error_set(err, CODE_INTERNAL, NULL, "no memory for a list of processes");
}

bool proc_shares_mm(pid_t one, pid_t two)
{
	return !syscall(SYS_kcmp, one, two, KCMP_VM, 0, 0);
}

/* @at: address of a struct clone_args of process @pid, which begins with the flags */
static bool clone3_is_vfork(pid_t pid, unsigned long at)
{
	unsigned long flags = 0;
	struct iovec here = { &flags, sizeof(flags) }, there = { (void *)at, sizeof(flags) };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof(flags) && flags & CLONE_VFORK;
}

/** struct caller - a walk over the threads of @pid; @waits: one was found that waits in vfork */
struct caller {
	pid_t pid;
	bool waits;
};

/* A thread that waits in a call is shown with the call's number and arguments. */
static int look_at_call(void *ctx, pid_t tid)
{
	struct caller *caller = ctx;
	unsigned long first = 0;
	char path[48];
	FILE *file;
	long nr;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", caller->pid, tid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%ld %lx", &nr, &first) == 2) {
#ifdef SYS_vfork
		caller->waits |= nr == SYS_vfork;
#endif
		caller->waits |= nr == SYS_clone && first & CLONE_VFORK;
		caller->waits |= nr == SYS_clone3 && clone3_is_vfork(caller->pid, first);
	}
	if (file)
		fclose(file);
	return caller->waits;
}

bool proc_borrows(pid_t pid, pid_t parent)
{
	struct caller caller = { .pid = parent };

	if (proc_shares_mm(pid, parent))
		return true;
	proc_threads(parent, look_at_call, &caller, &(struct error){ 0 });
	return caller.waits;
}

/*
 * Return: @root, or what the chain of parents ends at: 1, or 0 for a parent outside of this PID
 * namespace; -1: the chain could not be read
 */
static pid_t climb(pid_t pid, pid_t root)
{
	struct error ignored = { 0 };
	struct proc_status status;

	while (pid > 1 && pid != root) {
		if (proc_stat_read(pid, &status, &ignored))
			return -1;
		pid = status.ppid;
	}
	return pid;
}

/* An ancestor that ended between two reads has left its children to another parent: read again. */
static pid_t top_of(pid_t pid, pid_t root)
{
	pid_t top = -1;

	for (int i = 0; i < CLIMBS && top < 0; i++)
		top = climb(pid, root);
	return top;
}

bool proc_descends(pid_t pid, pid_t root)
{
	return top_of(pid, root) == root;
}

bool proc_has_left(pid_t pid, pid_t root)
{
	pid_t top = top_of(pid, root);

	return top >= 0 && top != root;
}
