// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include "os/safe_dir.h"
#include "os/safe_path.h"

#define MAX_LINKS	40	/* as in the kernel */

/**
 * struct link_walk - the walk along a path that has links
 * @root: descriptor of the root
 * @is_root_safe: no other user can replace the root
 * @is_safe: no other user can replace the directory @done
 * @done: the components so far, without links and without ".."; relative to @root
 * @left: the components that are left
 */
struct link_walk {
	int root;
	bool is_root_safe, is_safe;
	char done[PATH_MAX], left[PATH_MAX];
	unsigned int links;
};

static int open_plain(int dir, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };

	return syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static int walk_open_done(const struct link_walk *walk)
{
	return open_plain(walk->root, *walk->done ? walk->done + 1 : ".");
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* Put @first in front of the components that are left. */
static int walk_put(struct link_walk *walk, const char *first)
{
	char left[PATH_MAX];

	if (snprintf(left, sizeof(left), "%s/%s", first, walk->left) >= (int)sizeof(left))
		return fail(ENAMETOOLONG);
	strcpy(walk->left, left);
	return 0;
}

static void walk_restart(struct link_walk *walk)
{
	*walk->done = 0;
	walk->is_safe = walk->is_root_safe;
}

/* ".." */
static int walk_up(struct link_walk *walk)
{
	char *slash = strrchr(walk->done, '/');

	/* nothing is above the root */
	if (slash)
		*slash = 0;
	if (walk_put(walk, walk->done))
		return -1;
	walk_restart(walk);
	return 0;
}

static int walk_follow(struct link_walk *walk, int dir, const char *name, const struct stat *link)
{
	char target[PATH_MAX];
	struct statfs fs;
	ssize_t len;

	/* the kernel follows a link of procfs to a file, and not along its text */
	if (!walk->is_safe || !safe_dir_is_kept(link) || ++walk->links > MAX_LINKS ||
	    fstatfs(dir, &fs) || fs.f_type == PROC_SUPER_MAGIC)
		return fail(ELOOP);
	len = readlinkat(dir, name, target, sizeof(target) - 1);
	if (len < 0)
		return -1;
	target[len] = 0;
	if (*target == '/')
		walk_restart(walk);
	return walk_put(walk, target);
}

static int walk_enter(struct link_walk *walk, int dir, const char *name)
{
	size_t len = strlen(walk->done);
	struct stat st;

	if (fstat(dir, &st))
		return -1;
	walk->is_safe &= safe_dir_is_kept(&st);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return -1;
	if (S_ISLNK(st.st_mode))
		return walk_follow(walk, dir, name, &st);
	if (snprintf(walk->done + len, PATH_MAX - len, "/%s", name) >= (int)(PATH_MAX - len))
		return fail(ENAMETOOLONG);
	return 0;
}

/* Return: 1 for a step, 0 at the end, -1 with errno */
static int walk_step(struct link_walk *walk)
{
	char *at = walk->left + strspn(walk->left, "/"), name[NAME_MAX + 1];
	size_t len = strcspn(at, "/");
	int dir, ret;

	if (!len)
		return 0;
	if (len > NAME_MAX)
		return fail(ENAMETOOLONG);
	memcpy(name, at, len);
	name[len] = 0;
	memmove(walk->left, at + len, strlen(at + len) + 1);
	if (!strcmp(name, "."))
		return 1;
	if (!strcmp(name, ".."))
		return walk_up(walk) ? -1 : 1;
	dir = walk_open_done(walk);
	if (dir < 0)
		return -1;
	ret = walk_enter(walk, dir, name);
	close(dir);
	return ret ? -1 : 1;
}

static int walk_open_root(struct link_walk *walk, const char *root)
{
	int fd = safe_dir_open(root, false, &(struct error){ 0 });

	walk->is_root_safe = walk->is_safe = fd >= 0;
	return fd >= 0 ? fd : open_plain(AT_FDCWD, root);
}

/* The part of @path below @root; NULL: it is not below */
static const char *below(const char *root, const char *path)
{
	size_t len = strcmp(root, "/") ? strlen(root) : 0;

	return !strncmp(root, path, len) && (path[len] == '/' || !path[len]) ? path + len : NULL;
}

static int walk_all(const char *root, const char *rest)
{
	struct link_walk walk = { 0 };
	int ret, fd = -1;

	if (strlen(rest) >= sizeof(walk.left))
		return fail(ENAMETOOLONG);
	strcpy(walk.left, rest);
	walk.root = walk_open_root(&walk, root);
	if (walk.root < 0)
		return -1;
	do
		ret = walk_step(&walk);
	while (ret > 0);
	if (!ret)
		fd = walk_open_done(&walk);
	ret = errno;
	close(walk.root);
	errno = ret;
	return fd;
}

int safe_path_open(const char *root, const char *path)
{
	const char *rest = below(root, path);
	int fd = open_plain(AT_FDCWD, path);

	if (fd >= 0 || errno != ELOOP)
		return fd;
	return rest ? walk_all(root, rest) : fail(ELOOP);
}
