// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "dest/sender_check.h"
#include "os/memfs.h"
#include "os/proc.h"

#define LINK_BYTES	96
#define GROUPS_MAX	256
#define PTS_FIRST	136	/* majors of terminals, which are made anew for the program */
#define PTS_LAST	143

/** struct user - whose a process is, by the kernel's word; @shm_dev: of memory without a file */
struct user {
	const struct sender_rule *rule;
	pid_t pid;
	unsigned int uid, gid, groups[GROUPS_MAX];
	size_t nr_groups;
	dev_t shm_dev;
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
	bool good = at && take_id(behind(text, "\nUid:"), &user->uid) && take_id(behind(text, "\nGid:"), &user->gid) &&
		    sender_ids_have(&user->rule->uids, user->uid, user->uid);
	int used;

	user->nr_groups = 0;
	while (good && user->nr_groups < GROUPS_MAX && sscanf(at, "%*[ \t]%u%n", &user->groups[user->nr_groups], &used) == 1) {
		at += used;
		user->nr_groups++;
	}
	free(text);
	return good ? 0 : error_set(err, CODE_REFUSED, NULL, "the restored process %d is not of a user whose programs --allow lets \"%s\" send",
				    user->pid, user->rule->name);
}

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

static bool is_in_group(const struct user *user, gid_t gid)
{
	for (size_t i = 0; i < user->nr_groups; i++)
		if (user->groups[i] == gid)
			return true;
	return user->gid == gid;
}

/* A file that has no name here any more */
static bool mode_allows(const struct user *user, const struct stat *st, int wanted)
{
	if (st->st_uid == user->uid)
		return true;
	return (wanted & (is_in_group(user, st->st_gid) ? st->st_mode >> 3 : st->st_mode) & 7) == (unsigned int)wanted;
}

static bool is_at(const char *path, const struct stat *st)
{
	struct stat at;

	return *path == '/' && !stat(path, &at) && at.st_dev == st->st_dev && at.st_ino == st->st_ino;
}

static bool may_open(const struct user *user, const char *path, const struct stat *st, int wanted)
{
	unsigned int groups[GROUPS_MAX];
	int nr = syscall(SYS_getgroups, GROUPS_MAX, groups);
	bool may;

	if (!is_at(path, st))
		return mode_allows(user, st, wanted);
	may = nr >= 0 && !become(user->uid, user->gid, user->nr_groups, user->groups) &&
	      !syscall(SYS_faccessat2, AT_FDCWD, path, wanted, AT_EACCESS);
	/* with another's rights this process could not even end well */
	if (become(0, 0, nr < 0 ? 0 : nr, groups))
		abort();
	return may;
}

/* @what: a link in /proc/PID, whose own mode says for what the file is open */
static int check_link(const struct user *user, const char *what, struct error *err)
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
	wanted = (mode.st_mode & 0400 ? R_OK : 0) | (mode.st_mode & 0200 ? W_OK : 0);
	if (*path != '/' || st.st_dev == user->shm_dev || S_ISSOCK(st.st_mode) || !wanted ||
	    (S_ISCHR(st.st_mode) && major(st.st_rdev) >= PTS_FIRST && major(st.st_rdev) <= PTS_LAST) ||
	    may_open(user, path, &st, wanted))
		return 0;
	return error_set(err, CODE_REFUSED, "its owner and mode say who can",
			 "process %d has %s open for %s, which uid %u cannot open: --allow does not let \"%s\" send that",
			 user->pid, path, wanted & W_OK ? "writing" : "reading", user->uid, user->rule->name);
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
		ret = check_link(user, what, err);
	}
	closedir(dir);
	return ret;
}

int sender_check_files(const struct sender_rule *rule, const struct program *program, struct error *err)
{
	struct user user = { .rule = rule };

	if (!rule || !rule->limited)
		return 0;
	if (memfs_kernels_device(&user.shm_dev, err))
		return -1;
	for (size_t i = 0; i < program->nr; i++) {
		user.pid = program->processes[i]->host_pid;
		if (find_user(&user, err) || check_links(&user, "fd", err) || check_links(&user, "map_files", err))
			return -1;
	}
	return 0;
}
