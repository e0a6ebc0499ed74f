// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
#include <string.h>
#include "base/thread.h"
#include "os/cgroup_homes.h"
#include "source/attributes_ahead.h"

static int read_one(const struct cgroup *group, struct source_process *process)
{
	char line[PATH_MAX], sub[CGROUP_SUB_BYTES];
	struct error ignored = { 0 };
	bool inside;

	if (cgroup_line(process->pid, group->kind, line, sizeof(line)) ||
	    cgroup_homes_sub(group, line, sub, &inside))
		return -1;
	return source_attributes_read_in(&process->attributes, process->pid, group, sub, &ignored);
}

static void *body(void *arg)
{
	struct attributes_ahead *ahead = arg;
	struct source_process *process;

	tree_for_each(ahead->tree, process) {
		if (atomic_load(&ahead->stop))
			break;
		process->attributes_read = !read_one(ahead->group, process);
		if (!process->attributes_read)
			source_attributes_free(&process->attributes);
	}
	return NULL;
}

void attributes_ahead_start(struct attributes_ahead *ahead, const struct tree *tree, const struct cgroup *group)
{
	struct error ignored = { 0 };

	ahead->tree = tree;
	ahead->group = group;
	atomic_store(&ahead->stop, false);
	ahead->begun = !thread_start(&ahead->thread, body, ahead, &ignored);
}

void attributes_ahead_end(struct attributes_ahead *ahead, bool needed)
{
	struct source_process *process;

	if (!ahead->begun)
		return;
	ahead->begun = false;
	if (!needed)
		atomic_store(&ahead->stop, true);
	pthread_join(ahead->thread, NULL);
	if (needed)
		return;
	tree_for_each(ahead->tree, process)
		source_process_forget_attributes(process);
}
