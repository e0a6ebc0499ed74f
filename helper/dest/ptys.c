// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include "criu/repairs.h"
#include "dest/ptys.h"

#define TTY_GROUP	"5"	/* gid of "tty" in all distributions */

/* Return: 0 or an errno */
static int mount_pts(int mnt_ns)
{
	if (setns(mnt_ns, CLONE_NEWNS) ||
	    mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  "newinstance,ptmxmode=666,mode=620,gid=" TTY_GROUP))
		return errno;
	return 0;
}

/* setns() to a mount namespace needs a process with one thread: so fork a child for it. */
static int mount_in_child(int mnt_ns)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid)
		_exit(mount_pts(mnt_ns));
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (pid < 0)
		return -1;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno ? -1 : 0;
}

int ptys_prepare(int images_fd, pid_t init, struct error *err)
{
	int has = criu_has_ptys(images_fd, err), mnt_ns, ret;
	char path[32];

	if (has <= 0)
		return has;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", init);
	mnt_ns = open(path, O_RDONLY | O_CLOEXEC);
	if (mnt_ns < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot open %s", path);
	ret = mount_in_child(mnt_ns);
	if (ret)
		error_errno(err, CODE_NOT_READY, "look at /dev/pts here",
			    "cannot mount a /dev/pts for the program's own ptys");
	close(mnt_ns);
	return ret;
}
