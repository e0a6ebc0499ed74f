// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "os/netlink_sockets.h"
#include "os/proc_files.h"
#include "source/unsettled.h"

/** struct unread - inodes of sockets; @found: the process that has one */
struct unread {
	unsigned long *inodes;
	size_t nr;
	pid_t found;
};

static int take_file(void *ctx, const struct proc_file *file, struct error *err)
{
	struct unread *unread = ctx;

	for (size_t i = 0; i < unread->nr; i++)
		if (S_ISSOCK(file->st.st_mode) && file->st.st_ino == unread->inodes[i])
			unread->found = file->pid;
	return 0;
}

/* Most programs have none: the table is read before any descriptor is. */
static int find_netlink(const struct tree *tree, pid_t *pid, struct error *err)
{
	const struct source_process *process;
	struct unread unread = { 0 };
	struct proc_files files;
	int ret;

	*pid = 0;
	ret = netlink_sockets_unread(tree_root(tree)->pid, &unread.inodes, &unread.nr, err);
	if (!ret && unread.nr) {
		tree_for_each(tree, process) {
			struct error ended = { 0 };

			if (unread.found || proc_files_read(process->pid, &files, &ended))
				continue;
			proc_files_each(&files, take_file, &unread, &ended);
			proc_files_free(&files);
		}
	}
	free(unread.inodes);
	*pid = unread.found;
	return ret;
}

int unsettled_find(const struct tree *tree, struct unsettled *found, struct error *err)
{
	found->may_go = false;
	found->pid = tree_find_borrower(tree);
	found->why = "is a child for which its parent waits (vfork)";
	if (found->pid)
		return 0;
	found->why = "has not read what a netlink socket has for it";
	return find_netlink(tree, &found->pid, err);
}

int unsettled_find_file(const struct tree *tree, const struct kernel_files *known, struct unsettled *found,
			struct error *err)
{
	found->why = "has opened a file of /proc or /sys";
	found->may_go = true;
	return kernel_files_find_new(known, tree, &found->pid, err);
}
