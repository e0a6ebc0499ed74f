// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include "base/report.h"
#include "source/choose.h"

/* Without rounds there is nothing to follow: one write to clear_refs is all that CRIU needs. */
static enum backend_tracker wanted_tracker(const struct migrate_options *opts)
{
	if (opts->tracker == TRACKER_AUTO && opts->mode == MODE_POSTCOPY)
		return TRACKER_SOFT_DIRTY;
	return opts->tracker;
}

bool mode_follows(enum migrate_mode mode, const struct backend *backend)
{
	return mode != MODE_POSTCOPY || backend->criu_tracks;
}

/* backend_open() has refused write-protect where it cannot be had. */
static int check_tracker(const struct migrate_options *opts, const struct backend *backend,
			 struct error *err)
{
	if (opts->tracker != TRACKER_SOFT_DIRTY || backend->tracks)
		return 0;
	return error_set(err, CODE_NOT_READY, "leave --tracker out",
			 "the tracker soft-dirty cannot be had: %.200s", backend->why);
}

static int fit_mode(struct choice *choice, const struct backend *backend, struct error *err)
{
	if (!backend->tracks && choice->mode == MODE_PRECOPY)
		return error_set(err, CODE_NOT_READY, "use --mode postcopy, or load the module",
				 "--mode precopy needs to know what is written: %.180s",
				 backend->why);
	if (!backend->tracks)
		choice->mode = MODE_POSTCOPY;
	/* what the tracker might not see shows there; after post-copy nothing could be old */
	else if (!backend->criu_tracks && choice->mode != MODE_POSTCOPY)
		choice->verify = true;
	return 0;
}

static void say(const struct choice *choice, const struct backend *backend,
		const struct migrate_options *opts)
{
	if (*backend->tracker_why)
		report_say("tracker %s: %s", backend->tracker, backend->tracker_why);
	if (backend->criu_tracks)
		return;
	report_say("backend %s (%s): slower, since each page is copied%s", backend->ops->name,
		   backend->why, !mode_follows(choice->mode, backend) ? "" :
		   "; the program stands for a moment in each round, and all memory is compared before it goes on");
	if (choice->mode != opts->mode)
		report_say("no rounds: all memory is sent after the program has moved (--mode postcopy)");
}

/* a signal instead of a control group would be seen by the program */
static struct backend *open_backend(struct hold *hold, enum backend_kind kind,
				    enum backend_tracker tracker, pid_t pid, struct error *err)
{
	const struct backend_hold freezer = hold_for_backend(hold);

	return backend_open(kind, tracker, pid,
			    hold->guard->group.kind != CGROUP_NONE ? &freezer : NULL, err);
}

int choose_like(struct hold *hold, const struct migrate_options *opts, const struct backend *root,
		struct source_mm *mm, struct error *err)
{
	enum backend_tracker tracker = root->stands_first ? TRACKER_WRITE_PROTECT : TRACKER_SOFT_DIRTY;

	mm->backend = open_backend(hold, opts->backend, tracker, mm->pid, err);
	return mm->backend ? 0 : -1;
}

int choose_backend(struct choice *choice, struct hold *hold, const struct migrate_options *opts,
		   struct source_mm *mm, struct error *err)
{
	enum backend_tracker tracker = wanted_tracker(opts);

	choice->mode = opts->mode;
	choice->verify = opts->verify;
	mm->backend = open_backend(hold, opts->backend, tracker, mm->pid, err);
	if (!mm->backend || check_tracker(opts, mm->backend, err) ||
	    fit_mode(choice, mm->backend, err))
		return -1;
	if (tracker != opts->tracker && *mm->backend->tracker_why)
		snprintf(mm->backend->tracker_why, sizeof(mm->backend->tracker_why),
			 "nothing is sent before the program moves");
	say(choice, mm->backend, opts);
	return 0;
}
