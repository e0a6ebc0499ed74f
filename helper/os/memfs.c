// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "os/memfs.h"

bool memfs_holds(const char *path)
{
	char parent[PATH_MAX];
	struct statfs fs;
	char *slash;

	if (!statfs(path, &fs))
		return fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (errno != ENOENT || !slash || slash == parent)
		return false;
	*slash = 0;
	return memfs_holds(parent);
}

const char *memfs_base(void)
{
	return memfs_holds(MEMFS_BASE_RUN) || !memfs_holds(MEMFS_BASE_SHM) ? MEMFS_BASE_RUN : MEMFS_BASE_SHM;
}

static int make_tmpfs(int context, unsigned long max_mib)
{
	char size[32];

	snprintf(size, sizeof(size), "%luM", max_mib);
	if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", size, 0) ||
	    syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "mode", "0700", 0) ||
	    syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -1;
	return syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

int memfs_detached(unsigned long max_mib, struct error *err)
{
	int context = syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int fd = context < 0 ? -1 : make_tmpfs(context, max_mib);

	if (fd < 0)
		error_errno(err, CODE_INTERNAL, NULL, "cannot make a memory file system");
	if (context >= 0)
		close(context);
	return fd;
}

int memfs_kernels_device(dev_t *dev, struct error *err)
{
	int fd = memfd_create("migrate-look", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot tell where the kernel keeps shared memory");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*dev = st.st_dev;
	close(fd);
	return 0;
}
