// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "dest/sender_check.h"
#include "dest/sender_user.h"
#include "os/memfs.h"
#include "os/proc.h"
#include "os/proc_files.h"

#define LINK_BYTES	96
#define PTS_FIRST	136	/* majors of terminals, which are made anew for the program */
#define PTS_LAST	143

/** struct user - whose a process is, by the kernel's word; @shm_dev: of memory without a file; @pts_dev: of this machine's ptys */
struct user {
	const struct sender_rule *rule;
	pid_t pid;
	struct sender_user is;
	dev_t shm_dev, pts_dev, own_pts_dev;
};

static const char *behind(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at ? at + strlen(word) : NULL;
}

/* The last of four, which counts for files. */
static bool take_id(const char *at, unsigned int *id)
{
	return at && sscanf(at, "%*u %*u %*u %u", id) == 1;
}

static int find_user(struct user *user, struct error *err)
{
	char *text = proc_text(user->pid, "status");
	const char *at = text ? behind(text, "\nGroups:") : NULL;
	bool good = at && take_id(behind(text, "\nUid:"), &user->is.uid) && take_id(behind(text, "\nGid:"), &user->is.gid) &&
		    sender_ids_have(&user->rule->uids, user->is.uid, user->is.uid);
	int used;

	user->is.nr_groups = 0;
	while (good && user->is.nr_groups < SENDER_GROUPS_MAX && sscanf(at, "%*[ \t]%u%n", &user->is.groups[user->is.nr_groups], &used) == 1) {
		at += used;
		user->is.nr_groups++;
	}
	free(text);
	return good ? 0 : error_set(err, CODE_REFUSED, NULL, "the restored process %d is not of a user whose programs --allow lets \"%s\" send",
				    user->pid, user->rule->name);
}

/* What has no path, and is nobody's but the program's. Sockets are as sender_check_images() has let them through. */
static bool is_plain_link(const char *text)
{
	static const char *const plain[] = {
		"pipe:[", "socket:[", "anon_inode:[eventfd]", "anon_inode:[eventpoll]", "anon_inode:[signalfd]", "anon_inode:[timerfd]",
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		if (!strncmp(text, plain[i], strlen(plain[i])))
			return true;
	return false;
}

/* A pty: of the program's own /dev/pts (dest/ptys.h), or the user's */
static bool is_his_pty(const struct user *user, const struct stat *st)
{
	return S_ISCHR(st->st_mode) && major(st->st_rdev) >= PTS_FIRST && major(st->st_rdev) <= PTS_LAST &&
	       (st->st_uid == user->is.uid || (st->st_dev == user->own_pts_dev && st->st_dev != user->pts_dev));
}

static bool may_open(const struct user *user, const char *path, const struct stat *st, int wanted)
{
	struct stat at;
	bool found;
	int ret = sender_user_look(&user->is, path, wanted, &at, &found);

	if (found && at.st_dev == st->st_dev && at.st_ino == st->st_ino)
		return !ret;
	/* another file has the name, or none */
	return (found || ret == ENOENT) && (st->st_uid == user->is.uid || (!st->st_nlink && sender_user_mode(&user->is, st, wanted)));
}

static int refuse(const struct user *user, const char *path, const char *how, struct error *err)
{
	return error_set(err, CODE_REFUSED, "its owner and mode say who can",
			 "process %d has %s open%s, which uid %u cannot open: --allow does not let \"%s\" send that",
			 user->pid, path, how, user->is.uid, user->rule->name);
}

/*
 * @what: a link in /proc/PID
 * @said: for what it is open; NULL: the link's own mode says for what the file is open
 */
static int check_link(const struct user *user, const char *what, const int *said, struct error *err)
{
	char link[LINK_BYTES], path[PATH_MAX];
	struct stat st, mode;
	int wanted;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/%s", user->pid, what);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0 || lstat(link, &mode) || stat(link, &st))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot look at the restored file %s", link);
	path[n] = 0;
	wanted = said ? *said : (mode.st_mode & 0400 ? R_OK : 0) | (mode.st_mode & 0200 ? W_OK : 0);
	/* O_PATH */
	if (!wanted && S_ISDIR(st.st_mode))
		wanted = X_OK;
	if (*path != '/')
		return is_plain_link(path) ? 0 : refuse(user, path, "", err);
	if (st.st_dev == user->shm_dev || is_his_pty(user, &st))
		return 0;
	/* what such a file shows, and takes, goes by who opened it */
	if (!sender_file_is_plain(&st) || proc_link_is_virtual(user->pid, what))
		return refuse(user, path, " (a file of the kernel's, or a device)", err);
	return may_open(user, path, &st, wanted) ? 0 :
	       refuse(user, path, wanted & W_OK ? " for writing" : wanted & R_OK ? " for reading" : "", err);
}

static int check_links(const struct user *user, const char *where, struct error *err)
{
	char what[LINK_BYTES];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	snprintf(what, sizeof(what), "/proc/%d/%s", user->pid, where);
	dir = opendir(what);
	if (!dir)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot list %s", what);
	while (!ret && (entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(what, sizeof(what), "%s/%.40s", where, entry->d_name);
		ret = check_link(user, what, NULL, err);
	}
	closedir(dir);
	return ret;
}

static int check_root(const struct user *user, struct error *err)
{
	char link[LINK_BYTES];
	struct stat its, ours;

	snprintf(link, sizeof(link), "/proc/%d/root", user->pid);
	if (stat(link, &its) || stat("/", &ours))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot look at %s", link);
	return its.st_dev == ours.st_dev && its.st_ino == ours.st_ino ? 0 :
	       error_set(err, CODE_REFUSED, NULL, "process %d has a root directory of its own (chroot), with which --allow lets \"%s\" send no program",
			 user->pid, user->rule->name);
}

static dev_t device_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_dev;
}

static int check_process(struct user *user, struct error *err)
{
	const int searched = X_OK;
	char pts[LINK_BYTES];

	snprintf(pts, sizeof(pts), "/proc/%d/root/dev/pts", user->pid);
	user->own_pts_dev = device_of(pts);
	return find_user(user, err) || check_root(user, err) || check_link(user, "cwd", &searched, err) ||
	       check_link(user, "exe", &searched, err) || check_links(user, "fd", err) || check_links(user, "map_files", err) ? -1 : 0;
}

int sender_check_files(const struct sender_rule *rule, const struct program *program, struct error *err)
{
	struct user user = { .rule = rule, .pts_dev = device_of("/dev/pts") };

	if (!rule || !rule->limited)
		return 0;
	if (memfs_kernels_device(&user.shm_dev, err))
		return -1;
	for (size_t i = 0; i < program->nr; i++) {
		user.pid = program->processes[i]->host_pid;
		if (check_process(&user, err))
			return -1;
	}
	return 0;
}
