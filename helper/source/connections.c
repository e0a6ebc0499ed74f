// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "os/cgroup_members.h"
#include "os/proc.h"
#include "os/proc_files.h"
#include "os/proc_tree.h"
#include "source/connections.h"

void connections_plan(struct connections *connections, const char *id)
{
	*connections = (struct connections){ .on = false };
	snprintf(connections->filter, sizeof(connections->filter), "migrate-helper-%s-source", id);
}

int connections_lock(struct connections *connections, enum net_filter_level level,
		     struct error *err)
{
	if (!connections_are_kept(connections))
		return 0;
	connections->on = true;
	return net_filter_set(connections->filter, &connections->addresses, level, err);
}

/*
 * The end of repair mode clears SO_REUSEADDR, and repair mode has overwritten what it was. A connection that
 * has the option does no harm; one that lacks it may keep a server from its port when it is started again.
 */
static int resume_socket(pid_t pid, int number, struct error *err)
{
	int fd = proc_fd_get(pid, number), value = 0, off = 0, one = 1, ret = 0;
	socklen_t len = sizeof(value);

	if (fd < 0)
		return 0;
	if (!getsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &value, &len) && value) {
		if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)))
			ret = error_errno(err, CODE_INTERNAL, NULL,
					  "the connection of descriptor %d of process %d stays in repair mode",
					  number, pid);
		else
			setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	}
	close(fd);
	return ret;
}

/* Never stat(): on a file system whose server is gone it does not return, and the program stands meanwhile. */
static bool is_socket(int dir, const char *name)
{
	static const char socket[] = "socket:[";
	char text[sizeof(socket)];

	return readlinkat(dir, name, text, sizeof(text)) > (ssize_t)strlen(socket) &&
	       !memcmp(text, socket, strlen(socket));
}

static int resume_process(pid_t pid, struct error *err)
{
	struct dirent *entry;
	char path[32];
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return proc_is_gone(errno) ? 0 :
		       error_errno(err, CODE_INTERNAL, NULL, "cannot list the open files of process %d", pid);
	while ((entry = readdir(dir)))
		if (is_socket(dirfd(dir), entry->d_name) && resume_socket(pid, atoi(entry->d_name), err))
			ret = -1;
	closedir(dir);
	return ret;
}

/* The root may have ended before the rest, which is in the guard's group then. */
static int list_processes(const struct guard *guard, pid_t **pids, size_t *nr, struct error *err)
{
	*pids = NULL;
	*nr = 0;
	if (cgroup_exists(&guard->group) && cgroup_pids(&guard->group, pids, nr, err))
		return -1;
	if (*nr)
		return 0;
	free(*pids);
	*pids = NULL;
	/* it has ended */
	if (proc_tree(guard->pid, pids, nr, &(struct error){ 0 }))
		*nr = 0;
	return 0;
}

/* CRIU before 3.18 has a filter of its own, which it leaves behind. */
static int clear_criu(const struct guard *guard, struct error *err)
{
	char table[32];

	snprintf(table, sizeof(table), "inet CRIU-%d", guard->pid);
	return net_filter_clear_table(table, err);
}

int connections_resume(struct connections *connections, const struct guard *guard,
		       struct error *err)
{
	pid_t *pids = NULL;
	size_t nr;
	int ret;

	if (!connections_are_kept(connections) && !connections->inside)
		return 0;
	connections->on = false;
	ret = list_processes(guard, &pids, &nr, err);
	for (size_t i = 0; i < nr; i++)
		if (resume_process(pids[i], err))
			ret = -1;
	free(pids);
	if (connections->inside)
		return ret;
	if (clear_criu(guard, err) || net_filter_clear(connections->filter, err))
		ret = -1;
	return ret;
}

int connections_leave(struct connections *connections, const struct guard *guard,
		      struct error *err)
{
	if (!connections->on)
		return 0;
	/* while this machine has one of them, the filter must stay */
	for (size_t i = 0; i < connections->addresses.nr; i++)
		if (net_address_remove(&connections->addresses.items[i], err))
			return -1;
	connections->on = false;
	return clear_criu(guard, err) || net_filter_clear(connections->filter, err) ? -1 : 0;
}
