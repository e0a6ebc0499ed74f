// SPDX-License-Identifier: GPL-2.0
#include "source/join.h"

/* The guard freezes one control group, from which each goes back to that of the root or to one below it. */
static int check_group(const struct guard *guard, struct guard_home *last, const struct source_process *process,
		       struct error *err)
{
	if (guard->group.kind == CGROUP_NONE)
		return error_set(err, CODE_REFUSED, "mount -t cgroup2 none /sys/fs/cgroup",
				 "process %d belongs to a tree, and no control group can freeze it here",
				 process->pid);
	return guard_check_homes(guard, last, process->pid, err);
}

/* Between the look at the list of processes and the look at the process itself. */
static bool has_ended(struct source_process *process)
{
	process->gone = source_process_has_exited(&process->status);
	return process->gone;
}

int join_in_setup(void *ctx, struct source_process *process, struct error *err)
{
	struct join *join = ctx;

	return has_ended(process) ? 0 : check_group(join->guard, &join->home, process, err);
}

int join_later(void *ctx, struct source_process *process, struct error *err)
{
	const struct join *join = ctx;
	const struct backend *root = tree_root(join->terms->tree)->mm.backend;
	struct guard_home none = { 0 };

	if (has_ended(process))
		return 0;
	/* the session comes last: its tracker makes each mapping one under a userfaultfd */
	return check_group(join->guard, &none, process, err) ||
	       refuse_joining(join->terms, process, err) ||
	       choose_like(join->hold, join->terms->opts, root, &process->mm, err) ? -1 : 0;
}
