/* SPDX-License-Identifier: GPL-2.0 */
/* The open files of processes, from /proc/PID/fd. */
#ifndef MIGRATE_OS_PROC_FILES_H
#define MIGRATE_OS_PROC_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * struct proc_file - one descriptor of a process
 * @flags: as fcntl(F_GETFL) of a regular file or FIFO; 0 for other files
 * @st: stat() of the file
 * @path: text of the link: a path, or "pipe:[7]", "socket:[9]", "anon_inode:[eventpoll]"
 */
struct proc_file {
	pid_t pid;
	int fd, flags;
	struct stat st;
	char *path;
};

/** struct proc_files - the descriptors of a process */
struct proc_files {
	struct proc_file *files;
	size_t nr;
};

/** typedef proc_file_fn - one descriptor; -1 with @err ends the walk */
typedef int (*proc_file_fn)(void *ctx, const struct proc_file *file, struct error *err);

/**
 * proc_files_read() - list the descriptors of @pid
 *
 * The list lacks descriptors that the process closes during the call.
 * Return: 0, or -1 with @err: CODE_TARGET when there is no such process
 */
int proc_files_read(pid_t pid, struct proc_files *files, struct error *err);
/** proc_files_each() - call @fn with each descriptor; -1 when @fn has ended the walk */
int proc_files_each(const struct proc_files *files, proc_file_fn fn, void *ctx,
		    struct error *err);
void proc_files_free(struct proc_files *files);

/** typedef proc_link_fn - one descriptor @fd of process @pid; @path as in struct proc_file */
typedef void (*proc_link_fn)(void *ctx, pid_t pid, int fd, const char *path);

/** typedef proc_pid_fn - one process */
typedef void (*proc_pid_fn)(void *ctx, pid_t pid);

/**
 * proc_each() - walk through the processes of the caller's PID namespace; some may end meanwhile
 * Return: 0, or -1 with @err
 */
int proc_each(proc_pid_fn fn, void *ctx, struct error *err);
/**
 * proc_links() - walk through the descriptors of these processes
 * Return: 0; -1 with @err: descriptors or memory were short, and the walk left processes out
 */
int proc_links(proc_link_fn fn, void *ctx, struct error *err);

/** proc_fd_flags() - flags as in struct proc_file; -1 with errno */
int proc_fd_flags(pid_t pid, int fd);
/** proc_fd_tty_index() - number of the pty whose master @fd is; false: @fd is no master */
bool proc_fd_tty_index(pid_t pid, int fd, unsigned int *number);
/** proc_fd_mount() - id of the file's mount, as in mountinfo */
bool proc_fd_mount(pid_t pid, int fd, unsigned int *id);
/** proc_fd_pid() - *@of: process of the pidfd @fd in the caller's namespace; -1: it has ended */
bool proc_fd_pid(pid_t pid, int fd, pid_t *of);
/** proc_fd_is_on() - true when the file's file system has one of @nr @types of statfs() */
bool proc_fd_is_on(pid_t pid, int fd, const long *types, size_t nr);
/**
 * proc_link_is_virtual() - true for a file that the kernel makes up (procfs, sysfs, …)
 * @what: a link in /proc/@pid, as "fd/7" or "cwd"
 */
bool proc_link_is_virtual(pid_t pid, const char *what);
/** proc_fd_get() - duplicate descriptor @fd of @pid (the same open file); -1 with errno */
int proc_fd_get(pid_t pid, int fd);
/** proc_file_is_deleted() - the file has no name any more: CRIU's images carry its content */
bool proc_file_is_deleted(const struct proc_file *file);
/** proc_path_is_deleted() - the kernel shows @path as deleted; the file may have other names */
bool proc_path_is_deleted(const char *path);
/** proc_comm() - name of @pid without control characters; "?" when the process has ended */
void proc_comm(pid_t pid, char comm[32]);

#endif
