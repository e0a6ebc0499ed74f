// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "base/report.h"
#include "source/outgoing.h"

#define HOLD_MS		20000	/* a thread in direct I/O does not stand before that has ended */

/* The keeper freezes the program and records that first: it thaws it if this process dies. */
static int hold_freeze(void *ctx, struct error *err)
{
	struct outgoing *out = ctx;

	return source_keeper_guard(out->keeper, HOLD_MS, err);
}

static int hold_thaw(void *ctx, struct error *err)
{
	struct outgoing *out = ctx;
	struct error why = { 0 };

	if (!source_keeper_unguard(out->keeper, &why))
		return 0;
	/* a keeper that does not answer is dead by now */
	return guard_off(&out->guard, err);
}

static int fit_mode(struct outgoing *out, struct error *err)
{
	const struct backend *backend = out->backend;

	if (!backend->tracks && out->mode == MODE_PRECOPY)
		return error_set(err, CODE_NOT_READY, "use --mode postcopy, or load the module",
				 "--mode precopy needs to know what is written: %.180s",
				 backend->why);
	if (!backend->tracks)
		out->mode = MODE_POSTCOPY;
	/* what the tracker might not see shows there; after post-copy nothing could be old */
	else if (!backend->criu_tracks && out->mode != MODE_POSTCOPY)
		out->verify = true;
	return 0;
}

static void say(const struct outgoing *out)
{
	const struct backend *backend = out->backend;

	if (backend->criu_tracks)
		return;
	report_say("backend %s (%s): slower, since each page is copied%s", backend->ops->name,
		   backend->why, !outgoing_follows(out) ? "" :
		   "; the program stands for a moment in each round, and all memory is compared before it goes on");
	if (out->mode != out->opts->mode)
		report_say("no rounds: all memory is sent after the program has moved (--mode postcopy)");
}

int outgoing_choose_backend(struct outgoing *out, struct error *err)
{
	const struct backend_hold hold = {
		.freeze = hold_freeze, .thaw = hold_thaw, .ctx = out,
	};

	out->mode = out->opts->mode;
	out->verify = out->opts->verify;
	/* a signal instead of a control group would be seen by the program */
	out->backend = backend_open(out->opts->backend, out->opts->pid,
				    out->guard.group.kind != CGROUP_NONE ? &hold : NULL, err);
	if (!out->backend || fit_mode(out, err))
		return -1;
	out->figures.backend = out->backend->ops->name;
	out->figures.tracker = outgoing_follows(out) ? out->backend->tracker : "none";
	memcpy(out->figures.backend_why, out->backend->why, sizeof(out->figures.backend_why));
	say(out);
	return 0;
}
