// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "dest/sender_user.h"

/*
 * This thread alone: the calls of the C library would change all threads. The user's id for files is not enough: files of
 * /proc/sys go by the effective one.
 */
static int become(unsigned int uid, unsigned int gid, size_t nr, const unsigned int *groups)
{
	/* the right to change the others comes and goes with root's */
	return (!uid && syscall(SYS_setresuid, -1, uid, -1)) || syscall(SYS_setgroups, nr, groups) ||
	       syscall(SYS_setresgid, -1, gid, -1) || (uid && syscall(SYS_setresuid, -1, uid, -1)) ? -1 : 0;
}

static int look(const char *path, int wanted, struct stat *st, bool *found)
{
	int fd = open(path, O_PATH | O_CLOEXEC), ret;

	if (fd < 0)
		return errno;
	*found = !fstat(fd, st);
	ret = *found && !syscall(SYS_faccessat2, fd, "", wanted, AT_EACCESS | AT_EMPTY_PATH) ? 0 : errno;
	close(fd);
	return ret;
}

int sender_user_look(const struct sender_user *user, const char *path, int wanted, struct stat *st, bool *found)
{
	unsigned int groups[SENDER_GROUPS_MAX];
	int nr = syscall(SYS_getgroups, SENDER_GROUPS_MAX, groups), ret = EPERM;

	*found = false;
	if (nr >= 0 && !become(user->uid, user->gid, user->nr_groups, user->groups))
		ret = look(path, wanted, st, found);
	/* with another's rights this process could not even end well */
	if (become(0, 0, nr < 0 ? 0 : nr, groups))
		abort();
	return ret;
}

static bool is_in_group(const struct sender_user *user, gid_t gid)
{
	for (size_t i = 0; i < user->nr_groups; i++)
		if (user->groups[i] == gid)
			return true;
	return user->gid == gid;
}

bool sender_user_mode(const struct sender_user *user, const struct stat *st, int wanted)
{
	if (st->st_uid == user->uid)
		return true;
	return (wanted & (is_in_group(user, st->st_gid) ? st->st_mode >> 3 : st->st_mode) & 7) == (unsigned int)wanted;
}

bool sender_file_is_plain(const struct stat *st)
{
	unsigned int number = minor(st->st_rdev);

	if (!S_ISCHR(st->st_mode))
		return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
	/* null, zero, full, random, urandom; and the door to ptys */
	if (major(st->st_rdev) == 1)
		return number == 3 || number == 5 || (number >= 7 && number <= 9);
	return major(st->st_rdev) == 5 && number == 2;
}
