// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "os/cgroup_members.h"
#include "os/remote_group.h"

static int seize_all(struct remote_group *all, struct error *err)
{
	size_t nr;
	pid_t *pids;
	int ret;

	if (cgroup_pids(all->group, &pids, &nr, err))
		return -1;
	all->of = calloc(nr + 1, sizeof(*all->of));
	ret = all->of ? 0 : error_errno(err, CODE_INTERNAL, NULL, "no memory to trace processes");
	for (size_t i = 0; i < nr && !ret; i++) {
		ret = remote_seize(&all->of[all->nr], pids[i], err);
		all->nr += !ret;
	}
	free(pids);
	return ret;
}

static int wait_all(struct remote_group *all, struct error *err)
{
	for (size_t i = 0; i < all->nr; i++)
		if (remote_wait(&all->of[i], err))
			return -1;
	return 0;
}

static void let_go(struct remote_group *all)
{
	for (size_t i = 0; i < all->nr; i++)
		remote_release(&all->of[i]);
	free(all->of);
	memset(all, 0, sizeof(*all));
}

void remote_group_kill(struct remote_group *all)
{
	if (!cgroup_kill(all->group, &(struct error){ 0 }))
		for (size_t i = 0; i < all->nr; i++)
			remote_reap(&all->of[i]);
	let_go(all);
}

int remote_group_hold(struct remote_group *all, const struct cgroup *group, bool thaw,
		      struct error *err)
{
	bool v1 = group->kind == CGROUP_V1;
	int ret;

	*all = (struct remote_group){ .group = group };
	ret = cgroup_wait_frozen(group, err) || seize_all(all, err) ||
	      (!v1 && wait_all(all, err)) ? -1 : 0;
	if (!ret && (thaw || v1)) {
		all->thawed = true;
		/* a thread in the v1 freezer traps when the group thaws, before it runs an instruction */
		ret = cgroup_thaw(group, err) || (v1 && wait_all(all, err)) ? -1 : 0;
	}
	if (ret && all->thawed)
		remote_group_kill(all);
	else if (ret)
		let_go(all);
	return ret;
}

struct remote *remote_group_find(const struct remote_group *all, pid_t pid, struct error *err)
{
	for (size_t i = 0; i < all->nr; i++)
		if (all->of[i].pid == pid)
			return &all->of[i];
	error_set(err, CODE_TARGET, NULL, "process %d is not in its control group any more", pid);
	return NULL;
}

int remote_group_release(struct remote_group *all, struct error *err)
{
	int ret = all->thawed ? cgroup_freeze(all->group, err) : 0;

	if (ret)
		remote_group_kill(all);
	else
		let_go(all);
	return ret;
}
