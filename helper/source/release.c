// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "base/report.h"
#include "os/proc.h"
#include "source/release.h"

static int is_it(void *ctx, const char *dir, enum record_kind kind, const struct record *record)
{
	struct release *release = ctx;
	char id[LEDGER_ID_BYTES];

	record_id(dir, id);
	if (release->pid ? record->guard.pid != release->pid : strcmp(id, release->id))
		return 0;
	snprintf(release->dir, sizeof(release->dir), "%s", dir);
	release->record = *record;
	release->kind = kind;
	return -1;
}

static int not_found(const struct release *release, struct error *err)
{
	if (!release->pid)
		return error_set(err, CODE_TARGET, "\"migrate-helper status\" lists migrations by their ids",
				 "no program stands here for migration %s", release->id);
	return error_set(err, CODE_TARGET,
			 "\"migrate-helper status\" lists programs that were handed over; if migrate had --images-dir, give it here too",
			 "process %d was not handed over, or has ended", release->pid);
}

int release_find(struct release *release, struct error *err)
{
	record_each(release->base, is_it, release);
	if (!*release->dir)
		return not_found(release, err);
	release->pid = release->record.guard.pid;
	if (!record_stands(&release->record))
		return error_set(err, CODE_TARGET, NULL,
				 "process %d, which was handed over to %s, has ended", release->pid,
				 release->record.to);
	/* before COMMIT the destination has not started its copy */
	if (!release->force && release->kind == RECORD_COMMIT)
		return error_set(err, CODE_USAGE, "look there first; say --force when you know that it does not",
				 "process %d was handed over to %s and may run there", release->pid,
				 release->record.to);
	return 0;
}

/* Lock the record against another release. Return: a descriptor, or -1 with @err */
static int take(const struct release *release, struct error *err)
{
	int fd = record_lock(release->dir, release->kind);

	if (fd < 0)
		return error_errno(err, CODE_TARGET, NULL, "the record of process %d is gone",
				   release->pid);
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	close(fd);
	return error_set(err, CODE_NOT_READY, "wait for it, or end it first",
			 "a migrate-helper still looks after process %d", release->pid);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	remove(path);
	return 0;
}

/* The root, which may have ended before the rest of the program: then there is no pidfd. */
static int get_hold(struct release *release, struct error *err)
{
	struct guard *guard = &release->record.guard;

	if (!record_process_is(&release->record))
		return 0;
	guard->pidfd = proc_pidfd(release->pid, err);
	if (guard->pidfd < 0)
		return -1;
	/* the kernel may have given the pid to another process before the open */
	return record_process_is(&release->record) ? 0 :
	       error_set(err, CODE_TARGET, NULL, "process %d has ended", release->pid);
}

int release_let_go(struct release *release, struct error *err)
{
	int lock = take(release, err), ret = -1;
	struct record *record = &release->record;
	struct error why = { 0 };

	if (lock < 0)
		return -1;
	/* in this order, so that a release that was killed in between can be repeated */
	if (!get_hold(release, err) && connections_resume(&record->connections, &record->guard, &why))
		/* a connection that is lost is no reason to let the program stand */
		report_say("%s", why.what);
	if (!error_is_set(err) && !guard_off(&record->guard, err))
		ret = record_remove(release->dir, release->kind, err);
	/* no keeper is left that would remove the group of CRIU */
	if (!ret)
		guard_forget(&record->guard);
	if (!ret)
		nftw(release->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	close(lock);
	return ret;
}
