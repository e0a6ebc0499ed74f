// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "os/cgroup_homes.h"

#define LEAF		"/migrate-helper.own"
#define LEVELS_MAX	16	/* each is a group that a peer lets us make */
#define PATH_BYTES	(2 * PATH_MAX)

/* Cut @end off @text; false: @text does not end so */
static bool cut_end(char *text, const char *end)
{
	size_t bytes = strlen(text), cut = strlen(end);

	if (bytes < cut || strcmp(text + bytes - cut, end))
		return false;
	text[bytes - cut] = 0;
	return true;
}

/* The name of the group has the id of the migration: no other group has it. */
static const char *find_inside(const struct cgroup *group, const char *line)
{
	const char *name = strrchr(group->dir, '/'), *at = name ? strstr(line, name) : NULL;

	at = at ? at + strlen(name) : NULL;
	return at && (!*at || *at == '/') ? at : NULL;
}

int cgroup_homes_sub(const struct cgroup *group, const char *line, char sub[CGROUP_SUB_BYTES],
		     bool *inside)
{
	const char *at = find_inside(group, line), *home = strcmp(group->line, "/") ? group->line : "";

	*inside = at != NULL;
	if (!at && !strcmp(line, group->line))
		at = "";
	if (!at && !strncmp(line, home, strlen(home)) && line[strlen(home)] == '/')
		at = line + strlen(home);
	if (!at || strlen(at) + sizeof(LEAF) > CGROUP_SUB_BYTES)
		return -1;
	strcpy(sub, at);
	if (*inside)
		cut_end(sub, LEAF);
	return cgroup_homes_is_sub(sub) ? 0 : -1;
}

bool cgroup_homes_is_sub(const char *sub)
{
	int levels = 0;

	if (strlen(sub) + sizeof(LEAF) > CGROUP_SUB_BYTES || strchr(sub, '\n'))
		return false;
	while (*sub == '/') {
		size_t bytes = strcspn(++sub, "/");

		if (++levels > LEVELS_MAX || !bytes || bytes > NAME_MAX || (bytes == 1 && *sub == '.') ||
		    (bytes == 2 && !strncmp(sub, "..", 2)))
			return false;
		sub += bytes;
	}
	return !*sub;
}

/* Make each group of @sub below @dir; @dir becomes the last one */
static int make_below(char *dir, const char *sub)
{
	char *end = dir + strlen(dir);

	while (*sub) {
		size_t bytes = 1 + strcspn(sub + 1, "/");

		memcpy(end, sub, bytes);
		end += bytes;
		*end = 0;
		sub += bytes;
		if (mkdir(dir, 0755) && errno != EEXIST)
			return -1;
	}
	return 0;
}

int cgroup_homes_add(const struct cgroup *group, pid_t pid, const char *sub)
{
	char dir[PATH_BYTES];

	if (group->kind == CGROUP_NONE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	strcpy(dir, group->dir);
	return make_below(dir, sub) || make_below(dir, LEAF) ? -1 : cgroup_move(dir, pid);
}

int cgroup_homes_back(const struct cgroup *group, pid_t pid)
{
	char line[PATH_MAX], sub[CGROUP_SUB_BYTES], dir[PATH_BYTES];
	bool inside;

	if (cgroup_line(pid, group->kind, line, sizeof(line))) {
		errno = errno == ENOENT ? ESRCH : errno;
		return -1;
	}
	if (cgroup_homes_sub(group, line, sub, &inside) || !inside)
		return 0;
	strcpy(dir, group->home);
	return make_below(dir, sub) ? -1 : cgroup_move(dir, pid);
}
