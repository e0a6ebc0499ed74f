// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/cgroup_ns.h"

/* A line is "ID:CONTROLLERS:PATH", without controllers for version 2. */
static void take_first_below(FILE *file, char *sub, size_t size)
{
	char line[PATH_MAX + 64];

	while (!*sub && fgets(line, sizeof(line), file)) {
		char *controllers = strchr(line, ':');
		char *at = controllers ? strchr(controllers + 1, ':') : NULL;

		line[strcspn(line, "\n")] = 0;
		if (at && strcmp(at + 1, "/"))
			snprintf(sub, size, "%s", at == controllers + 1 ? at + 1 : controllers + 1);
	}
}

/* In a child: the kernel shows groups as the namespace of the reader has them. */
static int look(pid_t pid, int out)
{
	char path[48], sub[PATH_MAX] = "";
	FILE *file;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/cgroup", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWCGROUP))
		return errno;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	file = fopen(path, "re");
	if (!file)
		return errno;
	take_first_below(file, sub, sizeof(sub));
	fclose(file);
	return write(out, sub, strlen(sub) + 1) < 0 ? errno : 0;
}

int cgroup_ns_top(pid_t pid, char *sub, size_t size)
{
	int pair[2], status = 0;
	ssize_t n = -1;
	pid_t child;

	if (pipe2(pair, O_CLOEXEC))
		return -1;
	child = fork();
	if (!child)
		_exit(look(pid, pair[1]));
	close(pair[1]);
	if (child > 0)
		n = read(pair[0], sub, size - 1);
	close(pair[0]);
	while (child > 0 && waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (child < 0)
		return -1;
	sub[n > 0 ? n : 0] = 0;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno ? -1 : 0;
}

/*
 * The file is opened first: where cgroup2 is mounted with nsdelegate the kernel keeps the process that opened it in a
 * namespace from moving a process out of the groups of that namespace.
 */
int cgroup_ns_enter(const struct cgroup *group)
{
	char path[2 * PATH_MAX];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/cgroup.procs", group->dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = unshare(CLONE_NEWCGROUP) || write(fd, "0", 1) != 1 ? -1 : 0;
	close(fd);
	return ret;
}
