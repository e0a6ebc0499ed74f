// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include "base/report.h"
#include "source/link_remaps.h"
#include "source/migration.h"

int source_migration_undo(struct source_migration *migration, struct error *err)
{
	throttle_end(&migration->throttle);
	freeze_undo(&migration->freeze);
	/* the names of a mount namespace of its own are not ours */
	if (migration->dir.images_fd >= 0 && !migration->mounts.own)
		link_remaps_remove(migration->dir.images_fd);
	source_failure_reason(&migration->failure, err);
	if (migration->links.ctl)
		control_send_abort(migration->links.ctl, err, false);
	if (migration->watch.box)
		watch_stop(&migration->watch);
	/* which the keeper removes */
	outcome_take_log(&migration->outcome, migration->dir.work_fd, "dump.log");
	source_keeper_end(migration->keeper, err->code == CODE_CRIU);
	migration->keeper = NULL;
	ledger_set(&migration->ledger, LEDGER_ABORTED, &(struct error){ 0 });
	/* when the keeper was killed */
	guard_forget(&migration->guard);
	return err->code;
}

int source_migration_take_back(struct source_migration *migration, struct error *err)
{
	struct error why = { 0 };

	if (source_keeper_uncommit(migration->keeper, &why)) {
		*err = why;
		return source_migration_doubt(migration, false, err);
	}
	mailbox_uncommit(&migration->box);
	return source_migration_undo(migration, err);
}

/* What a person can do when it is in doubt whether the program runs there. */
static void doubt_hint(struct source_migration *migration, bool died, char *hint, size_t size)
{
	pid_t pid = migration->opts->pid;

	if (guard_wait_end(&migration->guard, 0))
		snprintf(hint, size, "it is lost here; look whether it runs at %s", migration->opts->to);
	else if (died)
		snprintf(hint, size,
			 "\"migrate-helper release --pid %d --force\" lets it go on here, as it was when it moved",
			 pid);
	else
		snprintf(hint, size,
			 "look whether it runs at %s; if not, \"migrate-helper release --pid %d --force\" lets it go on here",
			 migration->opts->to, pid);
}

int source_migration_doubt(struct source_migration *migration, bool died, struct error *err)
{
	char what[sizeof(err->what)], hint[sizeof(err->hint)];
	const char *stays = "stays stopped here";

	figures_thawed(&migration->figures, migration->freeze.at_ns);
	if (!died)
		mailbox_failed(&migration->box, err);
	memcpy(what, err->what, sizeof(what));
	memset(err, 0, sizeof(*err));
	/* killed at both ends: the keeper ends the rest of it */
	if (died && guard_wait_end(&migration->guard, 0)) {
		error_set(err, CODE_TARGET, NULL, "%.300s; nothing of the program is left", what);
		return err->code;
	}
	doubt_hint(migration, died, hint, sizeof(hint));
	if (guard_wait_end(&migration->guard, 0))
		stays = "its process here was killed";
	error_set(err, CODE_DOUBT, hint, "%.240s; the program was handed over and %s (process %d)",
		  what, stays, migration->opts->pid);
	return err->code;
}


static void send_killed(struct control *ctl)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Killed killed = MIGRATE__KILLED__INIT;
	struct error ignored = { 0 };

	msg.body_case = MIGRATE__CONTROL__BODY_KILLED;
	msg.killed = &killed;
	control_send(ctl, &msg, &ignored);
}

/* Others may use the files, or the program may come back. */
static void say_files_left(const struct source_shms *shms)
{
	for (size_t i = 0; i < shms->nr; i++)
		if (shms->list[i]->named && !shms->list[i]->gone)
			report_say("the file %s stays here: remove it when nobody uses it",
				   shms->list[i]->name);
}

int source_migration_finish(struct source_migration *migration, struct error *err)
{
	struct error ignored = { 0 };

	watch_stop(&migration->watch);
	/*
	 * CRIU traces the threads: until it dies, dead ones cannot go, nor the process. It dies at the same time as these:
	 * behind them it would have to free all the pages alone that it has in pipes.
	 */
	freeze_kill(&migration->freeze);
	if (source_keeper_kill(migration->keeper, &ignored) && guard_kill(&migration->guard, err))
		return err->code;
	freeze_end(&migration->freeze);
	if (guard_wait_dead(&migration->guard, err))
		return err->code;
	guard_forget(&migration->guard);
	if (connections_leave(&migration->connections, &migration->guard, &ignored))
		report_say("%s", ignored.what);
	source_keeper_end(migration->keeper, false);
	migration->keeper = NULL;
	/* the destination may have gone already, having all it needs */
	send_killed(migration->links.ctl);
	if (ledger_set(&migration->ledger, LEDGER_DONE, &ignored))
		report_say("%s", ignored.what);
	say_files_left(&migration->shms);
	return CODE_OK;
}
