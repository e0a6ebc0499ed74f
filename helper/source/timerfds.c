// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "os/proc.h"
#include "source/timerfds.h"

static void refresh_one(int pidfd, int target_fd)
{
	int fd = syscall(SYS_pidfd_getfd, pidfd, target_fd, 0);
	struct itimerspec spec;

	if (fd < 0)
		return;
	/* the question alone makes the kernel compute the next expiry */
	timerfd_gettime(fd, &spec);
	close(fd);
}

void timerfds_refresh(pid_t pid)
{
	int pidfd = proc_pidfd(pid, &(struct error){ 0 });
	struct dirent *entry;
	char path[32], link[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = pidfd < 0 ? NULL : opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = 0;
		if (!strcmp(link, "anon_inode:[timerfd]"))
			refresh_one(pidfd, atoi(entry->d_name));
	}
	if (dir)
		closedir(dir);
	if (pidfd >= 0)
		close(pidfd);
}
