// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "os/cgroup_members.h"
#include "source/hold.h"

#define HOLD_MS		20000	/* a thread in direct I/O does not stand before that has ended */

static int keeper_is_gone(struct error *err)
{
	return error_set(err, CODE_ABORTED, NULL, "the migration has ended: its keeper is gone");
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

static bool hold_stands(void *ctx, pid_t pid)
{
	const struct hold *hold = ctx;

	return hold->nr && bsearch(&pid, hold->inside, hold->nr, sizeof(pid), compare_pids);
}

static int list_inside(struct hold *hold, struct error *err)
{
	free(hold->inside);
	if (cgroup_pids(&hold->guard->group, &hold->inside, &hold->nr, err))
		return -1;
	if (hold->nr)
		qsort(hold->inside, hold->nr, sizeof(*hold->inside), compare_pids);
	return hold_stands(hold, hold->guard->pid) ? 0 :
	       error_set(err, CODE_TARGET, NULL, "process %d is not in group %s, which was frozen",
			 hold->guard->pid, hold->guard->group.dir);
}

/* The keeper records the freeze first, and thaws the program if this process dies. */
static int hold_freeze(void *ctx, struct error *err)
{
	struct hold *hold = ctx;

	if (!*hold->keeper)
		return keeper_is_gone(err);
	return source_keeper_guard(*hold->keeper, HOLD_MS, err) || list_inside(hold, err) ? -1 : 0;
}

static int hold_thaw(void *ctx, struct error *err)
{
	struct hold *hold = ctx;
	struct error why = { 0 };

	free(hold->inside);
	hold->inside = NULL;
	hold->nr = 0;
	if (*hold->keeper && !source_keeper_unguard(*hold->keeper, &why))
		return 0;
	/* source_keeper_unguard() has killed a keeper that does not answer */
	return guard_off(hold->guard, err);
}

static int hold_keep(void *ctx, int session_fd, int uffd, struct error *err)
{
	struct hold *hold = ctx;

	/* a keeper that is gone has closed what it kept */
	if (!*hold->keeper)
		return uffd < 0 ? 0 : keeper_is_gone(err);
	return source_keeper_keep(*hold->keeper, session_fd, uffd, err);
}

struct backend_hold hold_for_backend(struct hold *hold)
{
	return (struct backend_hold){
		.freeze = hold_freeze, .stands = hold_stands, .thaw = hold_thaw, .keep = hold_keep,
		.in_calls = hold->guard->group.kind == CGROUP_V1, .ctx = hold,
	};
}
