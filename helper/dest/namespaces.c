// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include "criu/namespaces.h"
#include "dest/namespaces.h"

#define HAS(own, kind)	((own) & 1u << (kind))

/* The sysctl is 0 by default since Linux 5.11. Before 5.2 there is none, and every process may use a userfaultfd. */
static bool may_use_uffd(void)
{
	FILE *file = fopen("/proc/sys/vm/unprivileged_userfaultfd", "re");
	int value = 1;

	if (!file)
		return true;
	if (fscanf(file, "%d", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

static bool take_map(struct id_map *map, Migrate__IdRange **from, size_t nr)
{
	map->nr = 0;
	for (size_t i = 0; i < nr; i++) {
		const struct id_range range = {
			.inside = from[i]->inside, .outside = from[i]->outside,
			.count = from[i]->count,
		};

		if (!id_map_add(map, &range))
			return false;
	}
	return true;
}

static void take_user(struct namespaces *namespaces, const Migrate__Setup *setup,
		      struct refusals *refusals)
{
	uint32_t root_uid;

	if (!take_map(&namespaces->uids, setup->uid_map, setup->n_uid_map) ||
	    !take_map(&namespaces->gids, setup->gid_map, setup->n_gid_map) ||
	    !id_map_outside(&namespaces->uids, 0, &root_uid) ||
	    !id_map_outside(&namespaces->gids, 0, &namespaces->root_gid))
		precheck_refuse(refusals, "the maps of the program's user namespace are wrong: at most %d ranges, each id once and 0 among them, are taken",
				ID_RANGES_MAX);
	/* CRIU's part in the restored processes makes the userfaultfd when they are in the namespace already */
	if (!may_use_uffd())
		precheck_refuse(refusals, "the program has a user namespace of its own, in which CRIU gets no userfaultfd here: allow it (sysctl vm.unprivileged_userfaultfd=1)");
}

void namespaces_take(struct namespaces *namespaces, const Migrate__Setup *setup,
		     struct refusals *refusals)
{
	static const enum criu_namespace kinds[] = {
		[MIGRATE__NAMESPACE_KIND__NS_PID] = CRIU_NS_PID,
		[MIGRATE__NAMESPACE_KIND__NS_MOUNT] = CRIU_NS_MOUNT,
		[MIGRATE__NAMESPACE_KIND__NS_NETWORK] = CRIU_NS_NETWORK,
		[MIGRATE__NAMESPACE_KIND__NS_USER] = CRIU_NS_USER,
		[MIGRATE__NAMESPACE_KIND__NS_TIME] = CRIU_NS_TIME,
		[MIGRATE__NAMESPACE_KIND__NS_CGROUP] = CRIU_NS_CGROUP,
		[MIGRATE__NAMESPACE_KIND__NS_IPC] = CRIU_NS_IPC,
		[MIGRATE__NAMESPACE_KIND__NS_UTS] = CRIU_NS_UTS,
	};

	memset(namespaces, 0, sizeof(*namespaces));
	for (size_t i = 0; i < setup->n_own_namespaces; i++) {
		Migrate__NamespaceKind kind = setup->own_namespaces[i];

		if (kind < MIGRATE__NAMESPACE_KIND__NS_PID || kind > MIGRATE__NAMESPACE_KIND__NS_UTS)
			precheck_refuse(refusals, "the program has a namespace of kind %d of its own, which is not known here: install the same version here",
					kind);
		else
			namespaces->own |= 1u << kinds[kind];
	}
	if (namespaces_have_user(namespaces))
		take_user(namespaces, setup, refusals);
}

bool namespaces_have_user(const struct namespaces *namespaces)
{
	return HAS(namespaces->own, CRIU_NS_USER);
}

static int compare_kinds(unsigned int said, unsigned int found, struct error *err)
{
	static const char *const text[CRIU_NAMESPACES] = {
		"PID", "mount", "network", "user", "time", "cgroup", "IPC", "UTS",
	};

	for (int i = 0; i < CRIU_NAMESPACES; i++)
		if (HAS(said ^ found, i))
			return error_set(err, CODE_PEER, NULL, "%s says that the program's %s namespace is its own, and %s otherwise",
					 HAS(said, i) ? "Setup" : "an image", text[i],
					 HAS(said, i) ? "the images say" : "Setup says");
	return 0;
}

/* For a child with another number than the first process CRIU would make a second namespace. */
static int compare_tasks(const struct program *program, const struct criu_namespaces *root,
			 int images_fd, struct error *err)
{
	for (size_t i = 0; i < program->nr; i++) {
		pid_t pid = program->processes[i]->pid;
		struct criu_namespaces child;

		if (criu_namespaces_of(images_fd, pid, &child, err))
			return -1;
		if (memcmp(&child, root, sizeof(child)))
			return error_set(err, CODE_PEER, NULL,
					 "the images have process %d in another namespace than the first one",
					 pid);
	}
	return 0;
}

static int compare_maps(const struct namespaces *namespaces, int images_fd, uint32_t id,
			struct error *err)
{
	struct id_map uids, gids;

	if (criu_namespaces_maps(images_fd, id, &uids, &gids, err))
		return -1;
	return id_map_same(&uids, &namespaces->uids) && id_map_same(&gids, &namespaces->gids) ? 0 :
	       error_set(err, CODE_PEER, NULL,
			 "the images have other ids in the program's user namespace than Setup said");
}

int namespaces_compare(const struct namespaces *namespaces, const struct program *program,
		       int images_fd, struct error *err)
{
	struct criu_namespaces root, criu;
	unsigned int found = 0;

	if (criu_namespaces_of_criu(images_fd, &criu, err) ||
	    criu_namespaces_of(images_fd, program->root, &root, err))
		return -1;
	for (int i = 0; i < CRIU_NAMESPACES; i++)
		if (root.ids[i] != criu.ids[i])
			found |= 1u << i;
	if (compare_kinds(namespaces->own, found, err) ||
	    compare_tasks(program, &root, images_fd, err))
		return -1;
	return namespaces_have_user(namespaces) ?
	       compare_maps(namespaces, images_fd, root.ids[CRIU_NS_USER], err) : 0;
}
