// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mount.h>
#include "criu/repairs.h"
#include "dest/in_mounts.h"
#include "dest/ptys.h"

#define TTY_GROUP	"5"	/* gid of "tty" in all distributions */

static int mount_pts(const void *ctx)
{
	return mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		     "newinstance,ptmxmode=666,mode=620,gid=" TTY_GROUP) ? errno : 0;
}

int ptys_prepare(int images_fd, pid_t init, struct error *err)
{
	int has = criu_has_ptys(images_fd, err);

	if (has <= 0)
		return has;
	return !in_mounts(init, mount_pts, NULL) ? 0 :
	       error_errno(err, CODE_NOT_READY, "look at /dev/pts here",
			   "cannot mount a /dev/pts for the program's own ptys");
}
