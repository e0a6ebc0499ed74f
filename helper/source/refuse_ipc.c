// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include "os/proc.h"
#include "os/proc_files.h"
#include "source/refuse.h"

/** struct finding - the first process outside of the program that has its IPC namespace @ns; 0: none */
struct finding {
	const struct tree *tree;
	ino_t ns;
	pid_t outsider;
};

static bool is_inside(const struct tree *tree, pid_t pid)
{
	const struct source_process *process;

	tree_for_each(tree, process)
		if (process->pid == pid)
			return true;
	return false;
}

/* A child that began since the tree was looked at is the program's. One that has ended is nobody's. */
static bool is_descendant(const struct tree *tree, pid_t pid)
{
	struct error ended = { 0 };
	struct proc_status status;

	while (pid > 1) {
		if (is_inside(tree, pid))
			return true;
		if (proc_stat_read(pid, &status, &ended))
			return true;
		pid = status.ppid;
	}
	return false;
}

static void take_process(void *ctx, pid_t pid)
{
	struct finding *finding = ctx;

	if (!finding->outsider && proc_ns(pid, "ipc") == finding->ns &&
	    !is_descendant(finding->tree, pid))
		finding->outsider = pid;
}

int refuse_ipc(const struct inspection *terms, const struct tree *tree, struct error *err)
{
	struct finding finding = { .tree = tree, .ns = proc_ns(tree_root(tree)->pid, "ipc") };
	char comm[32];

	/* objects of the machine's own namespace are refused where the program uses them */
	if (!finding.ns || finding.ns == proc_ns(0, "ipc"))
		return 0;
	if (proc_each(take_process, &finding, err))
		return -1;
	if (!finding.outsider)
		return 0;
	proc_comm(finding.outsider, comm);
	losses_add(terms->losses, LOSS_IPC_NAMESPACE, "process %d (%s) is in it too", finding.outsider,
		   comm);
	return 0;
}
