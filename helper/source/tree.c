// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "source/tree.h"

static const char carried_hint[] = "trees of processes are not carried yet";

struct source_process *tree_add(struct tree *tree, pid_t pid, struct error *err)
{
	struct source_process **processes = realloc(tree->processes,
					     (tree->nr + 1) * sizeof(*processes));
	struct source_process *process = processes ? malloc(sizeof(*process)) : NULL;

	if (processes)
		tree->processes = processes;
	if (!process) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a process");
		return NULL;
	}
	processes[tree->nr++] = process;
	return source_process_init(process, pid, ++tree->last_object, err) ? NULL : process;
}

void tree_destroy(struct tree *tree)
{
	for (size_t i = 0; i < tree->nr; i++) {
		source_process_destroy(tree->processes[i]);
		free(tree->processes[i]);
	}
	free(tree->processes);
	memset(tree, 0, sizeof(*tree));
}

struct source_mm *tree_find_mm(const struct tree *tree, uint32_t object)
{
	for (size_t i = 0; i < tree->nr; i++)
		if (tree->processes[i]->mm.object == object)
			return &tree->processes[i]->mm;
	return NULL;
}

void tree_refuse(const struct tree *tree, struct refusals *refusals)
{
	for (size_t i = 0; i < tree->nr; i++) {
		struct error ignored = { 0 };
		pid_t pid = tree->processes[i]->pid, child;
		size_t nr;

		/* a process that cannot be looked at is refused for that */
		if (proc_children(pid, &nr, &child, &ignored) || !nr)
			continue;
		if (nr == 1)
			refuse(refusals, carried_hint, "process %d has a child (%d)", pid, child);
		else
			refuse(refusals, carried_hint,
			       "process %d has %zu children (%d and others)", pid, nr, child);
	}
}

int tree_check(const struct tree *tree, struct error *err)
{
	for (size_t i = 0; i < tree->nr; i++) {
		pid_t pid = tree->processes[i]->pid, child;
		size_t nr;

		if (proc_children(pid, &nr, &child, err))
			return -1;
		if (nr)
			return error_set(err, CODE_REFUSED, carried_hint,
					 "process %d started another one (%d) while it was migrated",
					 pid, child);
	}
	return 0;
}
