// SPDX-License-Identifier: GPL-2.0
/*
 * A PID namespace that the program has of its own: it begins with the program's root, and has nobody else in it.
 * CRIU restores such a namespace with its init, and no other one.
 */
#include <stdio.h>
#include <unistd.h>
#include "os/ns_pids.h"
#include "os/proc_files.h"
#include "source/refuse.h"

static bool has_own(const struct tree *tree)
{
	ino_t namespace = proc_ns(tree_root(tree)->pid, "pid");

	return namespace && namespace != proc_ns(0, "pid");
}

/* Without a /proc of the namespace CRIU has the root mount one, in a directory that the root makes where it is. */
static void refuse_without_proc(const struct tree *tree, struct refusals *refusals)
{
	pid_t pid = tree_root(tree)->pid;
	char path[48], self[32];

	snprintf(path, sizeof(path), "/proc/%d/root/proc/self", pid);
	/* in one of the program's namespace this process has no number, and so the name leads nowhere */
	if (readlink(path, self, sizeof(self)) < 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
	/* what this process may do is not what the root of a user namespace may */
	if (has_own_user_ns(tree))
		refuse(refusals, "mount one (unshare --mount-proc)",
		       "process %d has no /proc of its PID namespace, and CRIU mounts none in a user namespace of its own",
		       pid);
	else if (access(path, W_OK))
		refuse(refusals, "start it where it can write",
		       "process %d has no /proc of its PID namespace, and CRIU cannot mount one in its working directory",
		       pid);
}

void refuse_pid_ns(const struct inspection *look, struct refusals *refusals)
{
	const struct source_process *root = tree_root(look->tree);
	bool first = root->status.ns_pid == NS_INIT_PID, own;

	if (look->process != root)
		return;
	own = has_own(look->tree);
	if (first && !own)
		refuse(refusals, "run migrate-helper outside of it",
		       "process %d is the first one of the PID namespace that migrate-helper itself is in",
		       root->pid);
	/* CRIU makes a new namespace for the root, in which the root has the pid 1 */
	else if (!first && own)
		refuse(refusals, "give --pid of its first process, or run migrate-helper in it (nsenter)",
		       "process %d is in another PID namespace, and not its first process", root->pid);
	else if (own)
		refuse_without_proc(look->tree, refusals);
}

/** struct strangers - a walk over all processes; @found: one of the namespace, not of the tree */
struct strangers {
	const struct tree *tree;
	ino_t namespace;
	pid_t found;
};

static void look_at_process(void *ctx, pid_t pid)
{
	struct strangers *strangers = ctx;
	struct error ignored = { 0 };
	struct proc_status status;

	if (strangers->found || proc_ns(pid, "pid") != strangers->namespace)
		return;
	/* a zombie has nothing to lose */
	if (tree_is_foreign(strangers->tree, pid) && !proc_stat_read(pid, &status, &ignored) &&
	    !source_process_has_exited(&status))
		strangers->found = pid;
}

int refuse_strangers(const struct tree *tree, struct error *err)
{
	const struct source_process *root = tree_root(tree);
	struct strangers strangers = { .tree = tree, .namespace = proc_ns(root->pid, "pid") };

	/* of another process refuse_pid_ns() tells more */
	if (!has_own(tree) || root->status.ns_pid != NS_INIT_PID)
		return 0;
	if (proc_each(look_at_process, &strangers, err))
		return -1;
	if (!strangers.found)
		return 0;
	return error_set(err, CODE_REFUSED, "end it, or wait for its end",
			 "process %d entered the PID namespace of process %d, does not move, and would end with it",
			 strangers.found, root->pid);
}
