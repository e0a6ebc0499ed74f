// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "os/proc.h"
#include "os/proc_files.h"

/* Read one number from the line of fdinfo that matches @format. */
static bool fdinfo_read(pid_t pid, int fd, const char *format, unsigned int *number)
{
	char path[48], line[64];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, format, number) == 1;
	fclose(file);
	errno = ENODATA;
	return found;
}

int proc_fd_flags(pid_t pid, int fd)
{
	unsigned int flags;

	return fdinfo_read(pid, fd, "flags: %o", &flags) ? (int)flags : -1;
}

bool proc_fd_tty_index(pid_t pid, int fd, unsigned int *number)
{
	return fdinfo_read(pid, fd, "tty-index: %u", number);
}

bool proc_fd_mount(pid_t pid, int fd, unsigned int *id)
{
	return fdinfo_read(pid, fd, "mnt_id: %u", id);
}

bool proc_fd_pid(pid_t pid, int fd, pid_t *of)
{
	return fdinfo_read(pid, fd, "Pid: %d", (unsigned int *)of);
}

static bool link_is_on(pid_t pid, const char *what, const long *types, size_t nr)
{
	struct statfs fs;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	if (statfs(path, &fs))
		return false;
	for (size_t i = 0; i < nr; i++)
		if (fs.f_type == types[i])
			return true;
	return false;
}

bool proc_fd_is_on(pid_t pid, int fd, const long *types, size_t nr)
{
	char what[16];

	snprintf(what, sizeof(what), "fd/%d", fd);
	return link_is_on(pid, what, types, nr);
}

bool proc_link_is_virtual(pid_t pid, const char *what)
{
	static const long kernels[] = {
		PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
		DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC, BPF_FS_MAGIC, NSFS_MAGIC,
	};

	return link_is_on(pid, what, kernels, sizeof(kernels) / sizeof(*kernels));
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

bool proc_path_is_deleted(const char *path)
{
	size_t len = strlen(path);

	return len > 10 && !strcmp(path + len - 10, " (deleted)");
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

/* Return: 1; 0 when the descriptor is not open any more; -1 with errno */
static int file_read(DIR *dir, const char *name, pid_t pid, struct proc_file *file)
{
	char path[PATH_MAX];
	ssize_t n = readlinkat(dirfd(dir), name, path, sizeof(path) - 1);

	if (n < 0 || fstatat(dirfd(dir), name, &file->st, 0))
		return proc_is_short(errno) ? -1 : 0;
	path[n] = 0;
	file->pid = pid;
	file->fd = atoi(name);
	file->flags = 0;
	if (S_ISREG(file->st.st_mode) || S_ISFIFO(file->st.st_mode))
		file->flags = proc_fd_flags(pid, file->fd);
	if (file->flags < 0)
		return proc_is_short(errno) ? -1 : 0;
	file->path = strdup(path);
	return file->path ? 1 : -1;
}

static int files_add(struct proc_files *files, const struct proc_file *file)
{
	struct proc_file *all = files->files;

	/* grown by doubling; the capacity is the next power of two */
	if (!(files->nr & (files->nr - 1)))
		all = realloc(all, (files->nr ? 2 * files->nr : 1) * sizeof(*all));
	if (!all)
		return -1;
	files->files = all;
	all[files->nr++] = *file;
	return 0;
}

int proc_files_read(pid_t pid, struct proc_files *files, struct error *err)
{
	struct dirent *entry;
	char path[32];
	int ret = 0;
	DIR *dir;

	memset(files, 0, sizeof(*files));
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return error_errno(err, errno == ENOENT ? CODE_TARGET : CODE_NOT_READY,
				   errno == EACCES ? "run as root" : NULL, "cannot open %s", path);
	while (!ret && (entry = readdir(dir))) {
		struct proc_file file = { 0 };
		int found = entry->d_name[0] == '.' ? 0 : file_read(dir, entry->d_name, pid, &file);

		if (found)
			ret = found < 0 || files_add(files, &file) ? -1 : 0;
		if (ret) {
			error_errno(err, CODE_INTERNAL, NULL, "cannot list the open files of process %d",
				    pid);
			free(file.path);
		}
	}
	closedir(dir);
	if (ret)
		proc_files_free(files);
	return ret;
}

int proc_files_each(const struct proc_files *files, proc_file_fn fn, void *ctx,
		    struct error *err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < files->nr; i++)
		ret = fn(ctx, &files->files[i], err);
	return ret;
}

void proc_files_free(struct proc_files *files)
{
	for (size_t i = 0; i < files->nr; i++)
		free(files->files[i].path);
	free(files->files);
	memset(files, 0, sizeof(*files));
}

/** struct links - arguments of proc_links(); @failed: errno of a process that could not be read */
struct links {
	proc_link_fn fn;
	void *ctx;
	int failed;
};

static void links_of(void *ctx, pid_t pid)
{
	char name[32], path[PATH_MAX];
	struct links *links = ctx;
	struct dirent *entry;
	DIR *dir;

	snprintf(name, sizeof(name), "/proc/%d/fd", pid);
	dir = opendir(name);
	if (!dir && proc_is_short(errno))
		links->failed = errno;
	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, path, sizeof(path) - 1);

		if (n > 0) {
			path[n] = 0;
			links->fn(links->ctx, pid, atoi(entry->d_name), path);
		} else if (n < 0 && proc_is_short(errno)) {
			links->failed = errno;
		}
	}
	if (dir)
		closedir(dir);
}

int proc_each(proc_pid_fn fn, void *ctx, struct error *err)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t pid;

	if (!dir)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot list the processes");
	while ((entry = readdir(dir))) {
		pid = atoi(entry->d_name);
		if (pid > 0)
			fn(ctx, pid);
	}
	closedir(dir);
	return 0;
}

int proc_links(proc_link_fn fn, void *ctx, struct error *err)
{
	struct links links = { .fn = fn, .ctx = ctx };

	if (proc_each(links_of, &links, err))
		return -1;
	errno = links.failed;
	return !links.failed ? 0 :
	       error_errno(err, CODE_INTERNAL, NULL, "cannot list the open files of all processes");
}
