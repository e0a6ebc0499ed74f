// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>
#include "os/inet_sockets.h"
#include "os/proc_files.h"
#include "source/reset_sockets.h"

static int take_file(void *ctx, const struct proc_file *file, struct error *err)
{
	struct reset_sockets *sockets = ctx;
	uint32_t *inodes;
	bool was;
	int fd;

	if (!S_ISSOCK(file->st.st_mode))
		return 0;
	fd = proc_fd_get(file->pid, file->fd);
	if (fd < 0)
		return 0;
	was = inet_socket_was_reset(fd);
	close(fd);
	if (!was)
		return 0;
	inodes = reallocarray(sockets->inodes, sockets->nr + 1, sizeof(*inodes));
	if (!inodes)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
	sockets->inodes = inodes;
	inodes[sockets->nr++] = file->st.st_ino;
	return 0;
}

static void read_all(struct reset_sockets *sockets)
{
	const struct source_process *process;
	struct proc_files files;
	struct error err = { 0 };

	tree_for_each(sockets->tree, process) {
		if (proc_files_read(process->pid, &files, &err))
			continue;
		proc_files_each(&files, take_file, sockets, &err);
		proc_files_free(&files);
	}
	sockets->read = true;
}

bool reset_sockets_have(void *ctx, uint32_t inode)
{
	struct reset_sockets *sockets = ctx;

	if (!sockets->read)
		read_all(sockets);
	for (size_t i = 0; i < sockets->nr; i++)
		if (sockets->inodes[i] == inode)
			return true;
	return false;
}

void reset_sockets_free(struct reset_sockets *sockets)
{
	free(sockets->inodes);
}
