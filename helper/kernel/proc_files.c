// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kernel/proc_files.h"

int proc_fd_flags(pid_t pid, int fd)
{
	char path[48], line[64];
	int flags = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (flags < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "flags: %o", (unsigned int *)&flags) != 1)
			flags = -1;
	fclose(file);
	return flags;
}

bool proc_fd_is_on(pid_t pid, int fd, const long *types, size_t nr)
{
	struct statfs fs;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (statfs(path, &fs))
		return false;
	for (size_t i = 0; i < nr; i++)
		if (fs.f_type == types[i])
			return true;
	return false;
}

int proc_fd_get(pid_t pid, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), copy, saved;

	if (pidfd < 0)
		return -1;
	copy = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	saved = errno;
	close(pidfd);
	errno = saved;
	return copy;
}

bool proc_file_is_deleted(const struct proc_file *file)
{
	return !file->st.st_nlink;
}

void proc_comm(pid_t pid, char comm[32])
{
	char path[32];
	FILE *file;

	strcpy(comm, "?");
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(comm, 32, file))
		comm[strcspn(comm, "\n")] = 0;
	for (char *at = comm; *at; at++)
		if (!isprint((unsigned char)*at))
			*at = '?';
	fclose(file);
}

/* Return: false when the descriptor is not open any more */
static bool file_read(DIR *dir, const char *name, pid_t pid, struct proc_file *file)
{
	ssize_t n = readlinkat(dirfd(dir), name, file->path, sizeof(file->path) - 1);

	if (n < 0)
		return false;
	file->path[n] = 0;
	file->pid = pid;
	file->fd = atoi(name);
	file->flags = proc_fd_flags(pid, file->fd);
	return file->flags >= 0 && !fstatat(dirfd(dir), name, &file->st, 0);
}

int proc_files(pid_t pid, proc_file_fn fn, void *ctx, struct error *err)
{
	struct proc_file *file = malloc(sizeof(*file));
	struct dirent *entry;
	char path[32];
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = file ? opendir(path) : NULL;
	if (!dir)
		ret = error_errno(err, errno == ENOENT ? CODE_TARGET : CODE_NOT_READY,
				  errno == EACCES ? "run as root" : NULL, "cannot open %s", path);
	while (!ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && file_read(dir, entry->d_name, pid, file))
			ret = fn(ctx, file, err);
	if (dir)
		closedir(dir);
	free(file);
	return ret;
}

static void links_of(pid_t pid, proc_link_fn fn, void *ctx)
{
	char name[32], path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(name, sizeof(name), "/proc/%d/fd", pid);
	dir = opendir(name);
	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, path, sizeof(path) - 1);

		if (n > 0) {
			path[n] = 0;
			fn(ctx, pid, atoi(entry->d_name), path);
		}
	}
	if (dir)
		closedir(dir);
}

void proc_links(pid_t except, proc_link_fn fn, void *ctx)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t pid;

	while (dir && (entry = readdir(dir))) {
		pid = atoi(entry->d_name);
		if (pid > 0 && pid != except)
			links_of(pid, fn, ctx);
	}
	if (dir)
		closedir(dir);
}
