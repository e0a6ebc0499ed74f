// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "os/proc.h"
#include "source/namespaces.h"

static int add_map(struct said_map *said, pid_t pid, const char *name, Migrate__IdRange ***list,
		   size_t *nr, struct error *err)
{
	struct id_map map;

	if (id_map_read(&map, pid, name, err))
		return -1;
	said->ranges = calloc(map.nr + 1, sizeof(*said->ranges));
	said->list = calloc(map.nr + 1, sizeof(*said->list));
	if (!said->ranges || !said->list)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	for (size_t i = 0; i < map.nr; i++) {
		migrate__id_range__init(&said->ranges[i]);
		said->ranges[i].inside = map.ranges[i].inside;
		said->ranges[i].outside = map.ranges[i].outside;
		said->ranges[i].count = map.ranges[i].count;
		said->list[i] = &said->ranges[i];
	}
	*list = said->list;
	*nr = map.nr;
	return 0;
}

int said_namespaces_add(struct said_namespaces *said, const struct tree *tree, Migrate__Setup *setup,
			struct error *err)
{
	static const struct {
		const char *name;
		Migrate__NamespaceKind kind;
	} spaces[SAID_NAMESPACES] = {
		{ "pid", MIGRATE__NAMESPACE_KIND__NS_PID },
		{ "mnt", MIGRATE__NAMESPACE_KIND__NS_MOUNT },
		{ "net", MIGRATE__NAMESPACE_KIND__NS_NETWORK },
		{ "user", MIGRATE__NAMESPACE_KIND__NS_USER },
		{ "time", MIGRATE__NAMESPACE_KIND__NS_TIME },
		{ "cgroup", MIGRATE__NAMESPACE_KIND__NS_CGROUP },
		{ "ipc", MIGRATE__NAMESPACE_KIND__NS_IPC },
		{ "uts", MIGRATE__NAMESPACE_KIND__NS_UTS },
	};
	pid_t pid = tree_root(tree)->pid;

	setup->own_namespaces = said->kinds;
	for (size_t i = 0; i < SAID_NAMESPACES; i++)
		if (proc_ns(pid, spaces[i].name) != proc_ns(0, spaces[i].name))
			said->kinds[setup->n_own_namespaces++] = spaces[i].kind;
	if (proc_ns(pid, "user") == proc_ns(0, "user"))
		return 0;
	return add_map(&said->uids, pid, "uid_map", &setup->uid_map, &setup->n_uid_map, err) ||
	       add_map(&said->gids, pid, "gid_map", &setup->gid_map, &setup->n_gid_map, err) ? -1 : 0;
}

void said_namespaces_free(struct said_namespaces *said)
{
	free(said->uids.ranges);
	free(said->uids.list);
	free(said->gids.ranges);
	free(said->gids.list);
}
