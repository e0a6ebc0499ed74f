// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "os/tmpfs.h"

#define TIMEOUT_MS	10000
/* The kernel sets no limit later where there was none. */
#define MANY_BYTES	"1125899906842624"
#define MANY_INODES	"1073741824"

/** struct mount_flag - a word of mountinfo */
struct mount_flag {
	const char *name;
	uint64_t attr;
};

static const struct mount_flag mount_flags[] = {
	{ "rw", 0 }, { "relatime", 0 }, { "nosuid", MOUNT_ATTR_NOSUID }, { "nodev", MOUNT_ATTR_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC }, { "noatime", MOUNT_ATTR_NOATIME },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME }, { "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW },
};

static const struct mount_flag *find_flag(const char *name)
{
	for (size_t i = 0; i < sizeof(mount_flags) / sizeof(*mount_flags); i++)
		if (!strcmp(name, mount_flags[i].name))
			return &mount_flags[i];
	return NULL;
}

static bool is_limit(const char *key)
{
	return !strcmp(key, "size") || !strcmp(key, "nr_blocks") || !strcmp(key, "nr_inodes");
}

static bool is_known(const char *key)
{
	static const char *const keys[] = { "rw", "mode", "uid", "gid", "huge", "inode64", "inode32", "noswap", "seclabel" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return is_limit(key);
}

/* Call @fn with each "key=value", or "key" and NULL, until it does not return 0. */
static int each_option(const char *options, int (*fn)(void *ctx, const char *key, const char *value),
		       void *ctx)
{
	char *copy = strdup(options), *rest = copy, *key;
	int ret = copy ? 0 : -1;

	while (!ret && (key = strsep(&rest, ","))) {
		char *value = strchr(key, '=');

		if (value)
			*value++ = 0;
		ret = fn(ctx, key, value);
	}
	free(copy);
	return ret;
}

static int check_option(void *ctx, const char *key, const char *value)
{
	return is_known(key) ? 0 : -1;
}

static int check_flag(void *ctx, const char *key, const char *value)
{
	return find_flag(key) && !value ? 0 : -1;
}

bool tmpfs_can_be_made(const char *options, const char *flags)
{
	return !each_option(options, check_option, NULL) && !each_option(flags, check_flag, NULL);
}

/* Zero is no limit, which can be set at once. The kernel takes other forms of numbers than those of base ten. */
static const char *value_at_first(const char *key, const char *value)
{
	if (!is_limit(key) || !value || !strcmp(value, "0"))
		return value;
	return strcmp(key, "nr_inodes") ? MANY_BYTES : MANY_INODES;
}

static int set_option(void *ctx, const char *key, const char *value)
{
	const int *fs = ctx;

	/* with huge pages a page that comes would take the memory of 512: see tmpfs_limit() */
	if (!strcmp(key, "rw") || !strcmp(key, "seclabel") || !strcmp(key, "huge"))
		return 0;
	if (!value)
		return fsconfig(*fs, FSCONFIG_SET_FLAG, key, NULL, 0);
	value = value_at_first(key, value);
	return fsconfig(*fs, FSCONFIG_SET_STRING, strcmp(key, "nr_blocks") ? key : "size", value, 0);
}

static int set_limit(void *ctx, const char *key, const char *value)
{
	const int *fs = ctx;

	return (is_limit(key) || !strcmp(key, "huge")) && value ? fsconfig(*fs, FSCONFIG_SET_STRING, key, value, 0) : 0;
}

static int add_flag(void *ctx, const char *key, const char *value)
{
	*(uint64_t *)ctx |= find_flag(key)->attr;
	return 0;
}

int tmpfs_make(const char *options, const char *flags)
{
	int fs, fd = -1, saved;
	uint64_t attr = 0;

	if (!tmpfs_can_be_made(options, flags)) {
		errno = EINVAL;
		return -1;
	}
	fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -1;
	if (!each_option(flags, add_flag, &attr) && !each_option(options, set_option, &fs) &&
	    !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = fsmount(fs, FSMOUNT_CLOEXEC, attr);
	saved = errno;
	close(fs);
	errno = saved;
	return fd;
}

int tmpfs_limit(int fd, const char *options)
{
	int fs = fspick(fd, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC), ret, saved;

	if (fs < 0)
		return -1;
	ret = each_option(options, set_limit, &fs) ||
	      fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) ? -1 : 0;
	saved = errno;
	close(fs);
	errno = saved;
	return ret;
}

/* A mount can be copied in its own namespace alone. @namespace: of it. Return: 0, or -1 with errno */
static int copy_tree(int namespace, const char *target, dev_t dev, int sock)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME, .attr_clr = MOUNT_ATTR__ATIME,
	};
	struct stat st;
	int tree;

	if (setns(namespace, CLONE_NEWNS))
		return -1;
	tree = open_tree(AT_FDCWD, target, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (tree < 0 || fstat(tree, &st))
		return -1;
	if (st.st_dev != dev) {
		errno = ENOENT;
		return -1;
	}
	return mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) ||
	       fdpass_send(sock, "", 1, &tree, 1) ? -1 : 0;
}

static int copy_in_child(int namespace, const char *target, dev_t dev)
{
	int pair[2], fds[FDPASS_MAX], tree = -1;
	char byte;
	pid_t pid;

	if (fdpass_pair(pair))
		return -1;
	pid = fork();
	if (!pid)
		_exit(copy_tree(namespace, target, dev, pair[1]) ? errno : 0);
	close(pair[1]);
	if (pid > 0 && fdpass_recv(pair[0], &byte, 1, fds, TIMEOUT_MS) == 1)
		tree = fds[0];
	close(pair[0]);
	if (pid > 0) {
		int status = 0;

		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		errno = WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EIO;
	}
	return tree;
}

int tmpfs_open(pid_t pid, const char *target, dev_t dev)
{
	int namespace, tree, fd = -1, saved;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	namespace = open(path, O_RDONLY | O_CLOEXEC);
	if (namespace < 0)
		return -1;
	tree = copy_in_child(namespace, target, dev);
	saved = errno;
	close(namespace);
	errno = saved;
	if (tree < 0)
		return -1;
	fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	saved = errno;
	close(tree);
	errno = saved;
	return fd;
}
