// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/user_ns.h"

static ino_t ask(pid_t pid, const char *name, unsigned long question)
{
	struct stat st = { 0 };
	char path[48];
	int fd, got;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = ioctl(fd, question);
	close(fd);
	if (got < 0)
		return 0;
	if (fstat(got, &st))
		st.st_ino = 0;
	close(got);
	return st.st_ino;
}

ino_t user_ns_above(pid_t pid)
{
	return ask(pid, "user", NS_GET_PARENT);
}

ino_t user_ns_owner(pid_t pid, const char *name)
{
	return ask(pid, name, NS_GET_USERNS);
}
