// SPDX-License-Identifier: GPL-2.0
/*
 * A user namespace that the program has of its own. CRIU makes one that is directly below its own, and mounts /proc in
 * it before anything else. The kernel lets the root of a user namespace do that only in a PID and a mount namespace
 * that belong to the user namespace.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/id_map.h"
#include "os/proc.h"
#include "os/user_ns.h"
#include "source/refuse.h"

static const char hint_all[] =
	"let one command make all of them (unshare --user --pid --mount-proc --fork)";

static bool is_own(pid_t pid, const char *name)
{
	ino_t namespace = proc_ns(pid, name);

	return namespace && namespace != proc_ns(0, name);
}

bool has_own_user_ns(const struct tree *tree)
{
	return is_own(tree_root(tree)->pid, "user");
}

/* CRIU makes all namespaces of the program within the new user namespace. */
static void refuse_owners(pid_t pid, struct refusals *refusals)
{
	static const struct {
		const char *name, *text;
		bool must;
	} spaces[] = {
		{ "pid", "PID", true }, { "mnt", "mount", true }, { "net", "network", false },
		{ "ipc", "IPC", false }, { "uts", "UTS", false }, { "time", "time", false },
	};
	ino_t user = proc_ns(pid, "user"), owner;

	for (size_t i = 0; i < sizeof(spaces) / sizeof(*spaces); i++) {
		if (!is_own(pid, spaces[i].name)) {
			if (spaces[i].must)
				refuse(refusals, hint_all,
				       "the program has a user namespace of its own and no %s namespace, and CRIU carries the one only with the other",
				       spaces[i].text);
			continue;
		}
		owner = user_ns_owner(pid, spaces[i].name);
		if (owner != user)
			refuse(refusals, hint_all,
			       "the %s namespace of process %d does not belong to its user namespace",
			       spaces[i].text, pid);
	}
}

/* A namespace whose process may not call setgroups() stays so for ever, and CRIU calls it. */
static bool setgroups_is_denied(pid_t pid)
{
	char path[48], word[8] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(word, sizeof(word), file))
		*word = 0;
	fclose(file);
	return !strncmp(word, "deny", 4);
}

static void refuse_space(pid_t pid, const struct id_map *uids, const struct id_map *gids,
			 struct refusals *refusals)
{
	uint32_t outside;

	if (user_ns_above(pid) != proc_ns(0, "user"))
		refuse(refusals, "run migrate-helper in the one above (nsenter --user), or start the program in one alone",
		       "the user namespace of process %d is below another one, and CRIU carries one alone",
		       pid);
	if (!id_map_outside(uids, 0, &outside) || !id_map_outside(gids, 0, &outside))
		refuse(refusals, "map them (unshare --map-users=0:100000:65536 --map-groups=0:100000:65536)",
		       "the user namespace of process %d has no uid 0, or no gid 0, as which CRIU restores it",
		       pid);
	else if (setgroups_is_denied(pid))
		refuse(refusals, "let root, or newgidmap, write its gid_map (unshare --map-groups=0:100000:65536)",
		       "the user namespace of process %d denies setgroups(), and CRIU would restore one that allows it",
		       pid);
	refuse_owners(pid, refusals);
}

/* The numbers of a line as "Uid:\t0\t0\t0\t0". Return: the first that is not in @map, -1: there is none */
static int64_t find_unmapped(const char *numbers, const struct id_map *map)
{
	char *end;

	for (;; numbers = end) {
		unsigned long id = strtoul(numbers, &end, 10);

		if (end == numbers)
			return -1;
		if (!id_map_has(map, id))
			return id;
	}
}

static void refuse_ids(pid_t pid, const struct id_map *uids, const struct id_map *gids,
		       struct refusals *refusals)
{
	char path[48], *line = NULL;
	size_t cap = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && getline(&line, &cap, file) > 0) {
		bool uid = !strncmp(line, "Uid:", 4);
		int64_t unmapped = -1;

		if (uid || !strncmp(line, "Gid:", 4))
			unmapped = find_unmapped(line + 4, uid ? uids : gids);
		else if (!strncmp(line, "Groups:", 7))
			unmapped = find_unmapped(line + 7, gids);
		if (unmapped >= 0)
			refuse(refusals, "let it drop that (setpriv --clear-groups before unshare), or map it",
			       "process %d has %s %" PRId64 ", which is not mapped in its user namespace, and cannot get it anew",
			       pid, uid ? "uid" : "group", unmapped);
	}
	free(line);
	if (file)
		fclose(file);
}

void refuse_user_ns(const struct inspection *look, struct refusals *refusals)
{
	pid_t pid = look->process->pid;
	struct id_map uids, gids;
	struct error ended = { 0 };

	if (!has_own_user_ns(look->tree) || id_map_read(&uids, pid, "uid_map", &ended) ||
	    id_map_read(&gids, pid, "gid_map", &ended))
		return;
	if (look->process == tree_root(look->tree))
		refuse_space(pid, &uids, &gids, refusals);
	if (uids.nr && gids.nr)
		refuse_ids(pid, &uids, &gids, refusals);
}
