// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/proc.h"
#include "os/proc_files.h"
#include "source/mount_groups.h"

static const char hint_private[] =
	"make the mount private inside of its namespace (mount --make-private, or --make-rprivate / for all)";

/**
 * struct outside - a walk over the mount namespaces of all processes but @own
 * @seen: namespaces that were looked at
 * @groups: numbers of the groups that their mounts are in, or follow
 */
struct outside {
	ino_t own, *seen;
	size_t nr_seen;
	int *groups;
	size_t nr_groups;
	bool failed;
};

static bool is_new(struct outside *outside, ino_t namespace)
{
	ino_t *more;

	if (!namespace || namespace == outside->own)
		return false;
	for (size_t i = 0; i < outside->nr_seen; i++)
		if (outside->seen[i] == namespace)
			return false;
	more = reallocarray(outside->seen, outside->nr_seen + 1, sizeof(*more));
	outside->failed |= !more;
	if (!more)
		return false;
	outside->seen = more;
	more[outside->nr_seen++] = namespace;
	return true;
}

static void take_groups(struct outside *outside, const struct mount_list *list)
{
	int *more = reallocarray(outside->groups, outside->nr_groups + 2 * list->nr + 1, sizeof(*more));

	outside->failed |= !more;
	if (!more)
		return;
	outside->groups = more;
	for (size_t i = 0; i < list->nr; i++) {
		more[outside->nr_groups++] = list->mounts[i].shared;
		more[outside->nr_groups++] = list->mounts[i].master;
	}
}

/* A process that has ended meanwhile has no namespace. */
static void take_process(void *ctx, pid_t pid)
{
	struct outside *outside = ctx;
	struct error ended = { 0 };
	struct mount_list list;
	char file[40];

	if (!is_new(outside, proc_ns(pid, "mnt")))
		return;
	snprintf(file, sizeof(file), "/proc/%d/mountinfo", pid);
	if (!mount_list_read(&list, file, &ended))
		take_groups(outside, &list);
	else
		outside->nr_seen--;
	mount_list_free(&list);
}

static bool is_outside(const struct outside *outside, int group)
{
	for (size_t i = 0; i < outside->nr_groups; i++)
		if (outside->groups[i] == group)
			return true;
	return false;
}

static bool is_inside(const struct mount_list *list, int group)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->mounts[i].shared == group)
			return true;
	return false;
}

/* The kernel lets CRIU add a mount to a group whose first mount shows all that the other shows. */
static bool has_first(const struct mount_list *list, const struct mount_entry *one)
{
	const struct mount_entry *first = NULL;

	for (size_t i = 0; i < list->nr; i++) {
		const struct mount_entry *mount = &list->mounts[i];

		if (mount->shared == one->shared && mount->master == one->master &&
		    (!first || strlen(mount->root) < strlen(first->root)))
			first = mount;
	}
	return !first || path_below(one->root, first->root);
}

bool mount_groups_follows(const struct mount_list *list, size_t nr)
{
	int master = list->mounts[nr].master;

	return master && !is_inside(list, master);
}

/* CRIU's image tells them apart by the group that they share. */
static size_t count_followers(const struct mount_list *list, const struct mount_entry *one)
{
	size_t nr = 0;

	for (size_t i = 0; i < list->nr; i++)
		nr += list->mounts[i].master == one->master && list->mounts[i].shared == one->shared;
	return nr;
}

static void refuse_follower(const struct mount_list *list, const bool *bound, size_t nr,
			    struct refusals *refusals)
{
	const struct mount_entry *mount = &list->mounts[nr];

	if (mount->shared && count_followers(list, mount) > 1)
		refuse(refusals, hint_private,
		       "the mount on %s of the program's namespace follows one of another namespace, as others do that it is shared with inside, and CRIU carries one",
		       mount->target);
	else if (!bound[nr])
		refuse(refusals, hint_private,
		       "the mount on %s of the program's namespace follows one of another namespace, and is not made of one of the destination",
		       mount->target);
}

static void refuse_mount(const struct mount_list *list, const bool *bound, const struct outside *outside,
			 size_t nr, struct refusals *refusals)
{
	const struct mount_entry *mount = &list->mounts[nr];

	if (mount->shared && is_outside(outside, mount->shared))
		refuse(refusals, hint_private,
		       "the mount on %s of the program's namespace is shared with another namespace",
		       mount->target);
	else if (mount_groups_follows(list, nr))
		refuse_follower(list, bound, nr, refusals);
	else if ((mount->shared || mount->master) && !has_first(list, mount))
		refuse(refusals, hint_private,
		       "the mount on %s of the program's namespace has nothing in common with others of its group, and CRIU cannot put it into that",
		       mount->target);
}

int mount_groups_refuse(const struct mount_list *list, const bool *bound, pid_t pid,
			struct refusals *refusals, struct error *err)
{
	struct outside outside = { .own = proc_ns(pid, "mnt") };
	bool any = false;
	int ret = 0;

	for (size_t i = 0; i < list->nr && !any; i++)
		any = list->mounts[i].shared || list->mounts[i].master;
	if (!any)
		return 0;
	if (proc_each(take_process, &outside, err))
		ret = -1;
	else if (outside.failed)
		ret = error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of mounts");
	for (size_t i = 0; i < list->nr && !ret; i++)
		refuse_mount(list, bound, &outside, i, refusals);
	free(outside.seen);
	free(outside.groups);
	return ret;
}
