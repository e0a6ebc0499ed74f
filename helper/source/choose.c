// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
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

static int hold_keep(void *ctx, int session_fd, int uffd, struct error *err)
{
	struct outgoing *out = ctx;

	return source_keeper_keep(out->keeper, session_fd, uffd, err);
}

/* Without rounds there is nothing to follow: one write to clear_refs is all that CRIU needs. */
static enum backend_tracker wanted_tracker(const struct outgoing *out)
{
	if (out->opts->tracker == TRACKER_AUTO && out->opts->mode == MODE_POSTCOPY)
		return TRACKER_SOFT_DIRTY;
	return out->opts->tracker;
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

	if (*backend->tracker_why)
		report_say("tracker %s: %s", backend->tracker, backend->tracker_why);
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
		.freeze = hold_freeze, .thaw = hold_thaw, .keep = hold_keep, .ctx = out,
	};

	out->mode = out->opts->mode;
	out->verify = out->opts->verify;
	/* a signal instead of a control group would be seen by the program */
	out->backend = backend_open(out->opts->backend, wanted_tracker(out), out->opts->pid,
				    out->guard.group.kind != CGROUP_NONE ? &hold : NULL, err);
	if (!out->backend || fit_mode(out, err))
		return -1;
	if (wanted_tracker(out) != out->opts->tracker && *out->backend->tracker_why)
		snprintf(out->backend->tracker_why, sizeof(out->backend->tracker_why),
			 "nothing is sent before the program moves");
	out->figures.backend = out->backend->ops->name;
	out->figures.tracker = outgoing_follows(out) ? out->backend->tracker : "none";
	out->figures.tracker_why = out->backend->tracker_why;
	memcpy(out->figures.backend_why, out->backend->why, sizeof(out->figures.backend_why));
	say(out);
	return 0;
}
