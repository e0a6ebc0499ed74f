// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/safe_dir.h"

#define MAX_LINKS	8

static const char hint[] =
	"choose another directory, one that belongs to root and only root can write to";

/**
 * struct walk - the walk along a path to a directory
 * @path: the path
 * @at: start of the components that are left
 * @done: the components so far, for messages and for relative links
 */
struct walk {
	char path[PATH_MAX], done[PATH_MAX];
	char *at;
	unsigned int links;
};

static bool is_of_root_or_ours(const struct stat *st)
{
	return !st->st_uid || st->st_uid == geteuid();
}

bool safe_dir_is_kept(const struct stat *st)
{
	return is_of_root_or_ours(st) &&
	       (!S_ISDIR(st->st_mode) || !(st->st_mode & 022) || st->st_mode & S_ISVTX);
}

static int check_dir(const struct walk *walk, int fd, struct error *err)
{
	const char *name = *walk->done ? walk->done : "/";
	struct stat st;

	if (fstat(fd, &st))
		return error_errno(err, CODE_NOT_READY, hint, "cannot look at %s", name);
	if (!is_of_root_or_ours(&st))
		return error_set(err, CODE_NOT_READY, hint, "%s belongs to user %u", name,
				 st.st_uid);
	if (!safe_dir_is_kept(&st))
		return error_set(err, CODE_NOT_READY, hint, "other users can write to %s", name);
	return 0;
}

/* Put the link's target in place of its name in the path, and begin again at the root. */
static int follow(struct walk *walk, int fd, const char *name, struct error *err)
{
	char target[PATH_MAX], path[PATH_MAX];
	ssize_t len = readlinkat(fd, name, target, sizeof(target) - 1);
	int room;

	if (len < 0 || ++walk->links > MAX_LINKS)
		return error_set(err, CODE_NOT_READY, hint, "cannot follow the link %s/%s",
				 walk->done, name);
	target[len] = 0;
	room = snprintf(path, sizeof(path), "%s/%s/%s", *target == '/' ? "" : walk->done, target,
			walk->at);
	if (room >= (int)sizeof(path))
		return error_set(err, CODE_NOT_READY, hint, "the link %s/%s is too long",
				 walk->done, name);
	strcpy(walk->path, path);
	walk->at = walk->path;
	*walk->done = 0;
	return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Open the component @name of @fd. Return: its descriptor; @fd stays open */
static int step(struct walk *walk, int fd, const char *name, bool make, struct error *err)
{
	size_t len = strlen(walk->done);
	struct stat st;
	int next;

	if (make && mkdirat(fd, name, 0700) && errno != EEXIST)
		return error_errno(err, CODE_NOT_READY, hint, "cannot make the directory %s/%s",
				   walk->done, name);
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return error_errno(err, CODE_NOT_READY, hint, "cannot look at %s/%s", walk->done,
				   name);
	if (S_ISLNK(st.st_mode) && !is_of_root_or_ours(&st))
		return error_set(err, CODE_NOT_READY, hint, "the link %s/%s belongs to user %u",
				 walk->done, name, st.st_uid);
	if (S_ISLNK(st.st_mode))
		return follow(walk, fd, name, err);
	next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	snprintf(walk->done + len, sizeof(walk->done) - len, "/%s", name);
	if (next < 0)
		return error_errno(err, CODE_NOT_READY, hint, "cannot open %s", walk->done);
	return next;
}

int safe_dir_open(const char *path, bool make, struct error *err)
{
	struct walk walk = { .at = walk.path };
	int fd, next;

	if (*path != '/' || strlen(path) >= sizeof(walk.path))
		return error_set(err, CODE_NOT_READY, hint, "\"%s\" is no absolute path", path);
	strcpy(walk.path, path);
	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0) {
		char *name = walk.at + strspn(walk.at, "/");

		if (check_dir(&walk, fd, err))
			break;
		if (!*name) {
			next = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			close(fd);
			return next >= 0 ? next :
			       error_errno(err, CODE_NOT_READY, hint, "cannot open %s", path);
		}
		walk.at = name + strcspn(name, "/");
		if (*walk.at)
			*walk.at++ = 0;
		next = step(&walk, fd, name, make, err);
		close(fd);
		fd = next;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}
