/* SPDX-License-Identifier: GPL-2.0 */
/* A file system whose server never answers: who looks at it waits in the kernel. */
#ifndef MIGRATE_TESTS_SILENT_FS_H
#define MIGRATE_TESTS_SILENT_FS_H

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

/** struct silent_fs - in a mount namespace of this process; its last close of @server ends all waits */
struct silent_fs {
	char dir[32];
	int server;
};

/** silent_fs_mount() - false: none can be had here */
static inline bool silent_fs_mount(struct silent_fs *fs)
{
	char options[80];

	strcpy(fs->dir, "/tmp/silent-XXXXXX");
	fs->server = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fs->server);
	return fs->server >= 0 && !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       mkdtemp(fs->dir) && !mount("silent", fs->dir, "fuse", 0, options);
}

static inline void silent_fs_answer(struct silent_fs *fs)
{
	if (fs->server >= 0)
		close(fs->server);
	fs->server = -1;
}

static inline void silent_fs_end(struct silent_fs *fs)
{
	silent_fs_answer(fs);
	umount2(fs->dir, MNT_DETACH);
	rmdir(fs->dir);
}

#endif
