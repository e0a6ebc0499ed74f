// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/io.h"
#include "os/cgroup_members.h"

#define EMPTY_ROUNDS	1000	/* most passes over a program that forks all the time */
#define PATH_BYTES	(PATH_MAX + 128)

/** struct members - a list in the making */
struct members {
	pid_t *pids;
	size_t nr;
};

/* Return: 0, or -1 with errno */
static int add(struct members *members, pid_t pid)
{
	pid_t *pids = reallocarray(members->pids, members->nr + 1, sizeof(*pids));

	if (!pids)
		return -1;
	members->pids = pids;
	pids[members->nr++] = pid;
	return 0;
}

/* Return: 0, or -1 with errno. A process of another PID namespace has the number 0. */
static int read_open(FILE *file, struct members *members)
{
	pid_t pid;

	errno = 0;
	while (fscanf(file, "%d", &pid) == 1)
		if (pid > 0 && add(members, pid))
			return -1;
	return ferror(file) ? -1 : 0;
}

/* A group that was removed has no processes. */
static bool is_removed(int error)
{
	return error == ENOENT || error == ENODEV;
}

/* Return: 0, or -1 with errno */
static int read_list(const char *dir, const char *name, struct members *members)
{
	char path[PATH_BYTES];
	FILE *file;
	int ret;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	file = fopen(path, "re");
	ret = file ? read_open(file, members) : -1;
	if (ret && is_removed(errno))
		ret = 0;
	if (file)
		fclose(file);
	return ret;
}

/* The group with directory @dir, and those below it. Return: 0, or -1 with errno */
static int read_all(const char *dir, const char *name, struct members *members)
{
	DIR *list = opendir(dir);
	struct dirent *entry;
	char path[PATH_BYTES];
	int ret = 0;

	if (!list)
		return is_removed(errno) ? 0 : -1;
	ret = read_list(dir, name, members);
	while (!ret && (entry = readdir(list))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) < (int)sizeof(path))
			ret = read_all(path, name, members);
	}
	closedir(list);
	return ret;
}

static int list(const struct cgroup *group, const char *name, pid_t **pids, size_t *nr,
		struct error *err)
{
	struct members members = { 0 };
	int ret = read_all(group->dir, name, &members);

	if (ret)
		error_errno(err, CODE_INTERNAL, NULL, "cannot list the processes of control group %s",
			    group->dir);
	if (ret)
		free(members.pids);
	*pids = ret ? NULL : members.pids;
	*nr = ret ? 0 : members.nr;
	return ret;
}

int cgroup_pids(const struct cgroup *group, pid_t **pids, size_t *nr, struct error *err)
{
	return list(group, "cgroup.procs", pids, nr, err);
}

/*
 * The list of cgroup v2 lacks a process whose first thread ended before the process came into the group:
 * the other threads of such a process are in the group, and each of them stands for the process.
 */
static int pids_or_threads(const struct cgroup *group, pid_t **pids, size_t *nr, struct error *err)
{
	if (cgroup_pids(group, pids, nr, err))
		return -1;
	return *nr || group->kind != CGROUP_V2 ? 0 : list(group, "cgroup.threads", pids, nr, err);
}

bool cgroup_is_empty(const struct cgroup *group)
{
	struct error ignored = { 0 };
	pid_t *pids;
	size_t nr;

	if (!cgroup_exists(group))
		return true;
	if (pids_or_threads(group, &pids, &nr, &ignored))
		return false;
	free(pids);
	return !nr;
}

int cgroup_kill(const struct cgroup *group, struct error *err)
{
	char path[PATH_BYTES];
	pid_t *pids;
	size_t nr;
	int ret = 0;

	snprintf(path, sizeof(path), "%s/cgroup.kill", group->dir);
	if (!cgroup_exists(group) || !io_write_text(path, "1"))
		return 0;
	if (cgroup_pids(group, &pids, &nr, err))
		return -1;
	for (size_t i = 0; i < nr; i++)
		if (kill(pids[i], SIGKILL) && errno != ESRCH)
			ret = error_errno(err, CODE_INTERNAL, NULL, "cannot kill process %d", pids[i]);
	free(pids);
	return ret || group->kind != CGROUP_V1 ? ret : cgroup_thaw(group, err);
}

int cgroup_empty(const struct cgroup *group, cgroup_leave_fn leave)
{
	for (int i = 0; i < EMPTY_ROUNDS; i++) {
		size_t nr, moved = 0;
		struct error why = { 0 };
		pid_t *pids;

		if (pids_or_threads(group, &pids, &nr, &why)) {
			errno = why.os_errno;
			return -1;
		}
		for (size_t j = 0; j < nr; j++)
			/* ESRCH: the process has ended meanwhile */
			moved += !leave(group, pids[j]) || errno == ESRCH;
		free(pids);
		if (!nr)
			return 0;
		if (!moved)
			return -1;
	}
	return -1;
}
