// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "criu/creds.h"
#include "criu/opens.h"
#include "criu/repairs.h"
#include "dest/sender_check.h"
#include "dest/sender_user.h"

#define USERS_MAX	16	/* more different ones no thread of a program has */

/** struct opens - @users: all that threads are; @ptys: the program gets a /dev/pts of its own */
struct opens {
	const struct sender_rule *rule;
	const struct namespaces *namespaces;
	bool ptys;
	size_t nr;
	struct sender_user users[USERS_MAX];
};

static void map(const struct id_map *ids, bool mapped, unsigned int *id)
{
	/* sender_check_images() has seen that each is there */
	if (mapped && !id_map_outside(ids, *id, id))
		*id = UINT_MAX;
}

static int take_user(void *ctx, const struct criu_creds *creds, struct error *err)
{
	struct opens *opens = ctx;
	const struct namespaces *namespaces = opens->namespaces;
	bool mapped = namespaces_have_user(namespaces);
	struct sender_user user = { .uid = creds->uids[CRIU_CREDS_IDS - 1], .gid = creds->gids[CRIU_CREDS_IDS - 1] };

	if (creds->nr_groups > SENDER_GROUPS_MAX)
		return error_set(err, CODE_REFUSED, NULL, "thread %d has %zu groups: --allow lets \"%s\" send programs with at most %d",
				 creds->tid, creds->nr_groups, opens->rule->name, SENDER_GROUPS_MAX);
	map(&namespaces->uids, mapped, &user.uid);
	map(&namespaces->gids, mapped, &user.gid);
	for (size_t i = 0; i < creds->nr_groups; i++) {
		user.groups[i] = creds->groups[i];
		map(&namespaces->gids, mapped, &user.groups[i]);
	}
	user.nr_groups = creds->nr_groups;
	for (size_t i = 0; i < opens->nr; i++)
		if (!memcmp(&opens->users[i], &user, sizeof(user)))
			return 0;
	if (opens->nr == USERS_MAX)
		return error_set(err, CODE_REFUSED, NULL, "the program has more than %d users: --allow does not let \"%s\" send that",
				 USERS_MAX, opens->rule->name);
	opens->users[opens->nr++] = user;
	return 0;
}

static bool is_own_pty(const struct opens *opens, const char *path)
{
	if (!opens->ptys || strncmp(path, "/dev/pt", 7))
		return false;
	return !strcmp(path, "/dev/ptmx") || !strcmp(path, "/dev/pts/ptmx") ||
	       (!strncmp(path, "/dev/pts/", 9) && path[9] && !path[9 + strspn(path + 9, "0123456789")]);
}

static int wanted_for(const struct criu_open *open)
{
	int mode = open->flags & O_ACCMODE, wanted = open->writes ? W_OK : 0;

	if (open->flags & O_PATH)
		return wanted;
	/* one that is searched alone need not be readable */
	if (open->searched && mode == O_RDONLY)
		return wanted | X_OK;
	return wanted | (mode == O_WRONLY ? W_OK : mode == O_RDONLY ? R_OK : R_OK | W_OK);
}

/* Could any of them open it? Each process is looked at when it stands: what counts here is that an open does no harm. */
static bool may_any(const struct opens *opens, const char *path, int wanted, bool missing)
{
	for (size_t i = 0; i < opens->nr; i++) {
		struct stat st;
		bool found;
		int ret = sender_user_look(&opens->users[i], path, wanted, &st, &found);

		if (!ret && S_ISDIR(st.st_mode) && !(wanted & (R_OK | X_OK)))
			ret = sender_user_look(&opens->users[i], path, X_OK, &st, &found);
		if (ret ? missing && !found && (ret == ENOENT || ret == ENOTDIR) : sender_file_is_plain(&st))
			return true;
	}
	return false;
}

static bool may_make_in(const struct opens *opens, const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	if (!slash || slash - path >= PATH_MAX)
		return false;
	snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return may_any(opens, parent, W_OK | X_OK, false);
}

static int check_open(void *ctx, const struct criu_open *open, struct error *err)
{
	const struct opens *opens = ctx;

	if (open->root && strcmp(open->path, "/"))
		return error_set(err, CODE_REFUSED, NULL,
				 "the program has a root directory of its own (chroot to %.200s), with which --allow lets \"%s\" send no program",
				 open->path, opens->rule->name);
	if (is_own_pty(opens, open->path))
		return 0;
	if (open->ghost ? may_make_in(opens, open->path) : *open->path == '/' && may_any(opens, open->path, wanted_for(open), true))
		return 0;
	return error_set(err, CODE_REFUSED, "its owner and mode, and those of its directories, say who can",
			 "the images have %.200s open, which no user of the program can %s: --allow does not let \"%s\" send that",
			 open->path, open->ghost ? "make" : "open so", opens->rule->name);
}

int sender_check_opens(const struct sender_rule *rule, const struct program *program, const struct namespaces *namespaces,
		       int images_fd, struct error *err)
{
	struct opens opens = { .rule = rule, .namespaces = namespaces };
	int ptys = criu_has_ptys(images_fd, err);

	if (ptys < 0)
		return -1;
	opens.ptys = ptys;
	for (size_t i = 0; i < program->nr; i++)
		if (criu_creds_each(images_fd, &program->processes[i]->task, take_user, &opens, err))
			return -1;
	return criu_opens_each(images_fd, check_open, &opens, err);
}
