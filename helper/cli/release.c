// SPDX-License-Identifier: GPL-2.0
/*
 * A person decides that a handed-over program runs again on the source: its helper and keeper have
 * ended, and cannot say whether the program runs at the destination.
 */
#define _GNU_SOURCE
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/report.h"
#include "cli/options.h"
#include "cli/release.h"
#include "os/proc.h"
#include "source/record.h"

/**
 * struct release - the options, and the record that was found
 * @dir: directory of the migration; empty: no record was found
 */
struct release {
	pid_t pid;
	const char *base;
	bool force, json;
	char dir[PATH_MAX];
	enum record_kind kind;
	struct record record;
};

static const char *take_pid(void *opts, char *value)
{
	struct release *rel = opts;
	unsigned long pid;
	const char *want = options_number(value, 1, INT_MAX, &pid);

	rel->pid = pid;
	return want;
}

static const char *take_images_dir(void *opts, char *value)
{
	return options_path(value, &((struct release *)opts)->base);
}

static const struct cli_option options[] = {
	{ "pid", "PID", "the program; \"migrate-helper status\" lists those in doubt",
	  .take = take_pid },
	{ "force", .text = "yes, it does not run there: two of it would be worse than none",
	  .flag = offsetof(struct release, force) },
	{ "images-dir", "DIR", "what --images-dir of migrate was", .take = take_images_dir },
	{ "json", .text = "one JSON object a line", .flag = offsetof(struct release, json) },
	{ 0 }
};

static const struct cli_verb verb = {
	"release", "--pid PID [--force] [OPTION]...",
	"Let a program that was handed over, and does not run at the destination, go on here.",
	options,
};

static int is_it(void *ctx, const char *dir, enum record_kind kind, const struct record *record)
{
	struct release *rel = ctx;

	if (record->guard.pid != rel->pid)
		return 0;
	rel->record = *record;
	rel->kind = kind;
	snprintf(rel->dir, sizeof(rel->dir), "%s", dir);
	return -1;
}

static int find(struct release *rel, struct error *err)
{
	record_each(rel->base, is_it, rel);
	if (!*rel->dir)
		return error_set(err, CODE_TARGET,
				 "\"migrate-helper status\" lists programs that were handed over; if migrate had --images-dir, give it here too",
				 "process %d was not handed over, or has ended", rel->pid);
	if (!record_stands(&rel->record))
		return error_set(err, CODE_TARGET, NULL,
				 "process %d, which was handed over to %s, has ended", rel->pid,
				 rel->record.to);
	/* before COMMIT the destination has not started its copy */
	if (!rel->force && rel->kind == RECORD_COMMIT)
		return error_set(err, CODE_USAGE, "look there first; say --force when you know that it does not",
				 "process %d was handed over to %s and may run there", rel->pid,
				 rel->record.to);
	return 0;
}

/* Lock the record against another release. Return: a descriptor, or -1 with @err */
static int take(const struct release *rel, struct error *err)
{
	int fd = record_lock(rel->dir, rel->kind);

	if (fd < 0)
		return error_errno(err, CODE_TARGET, NULL, "the record of process %d is gone",
				   rel->pid);
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	close(fd);
	return error_set(err, CODE_NOT_READY, "wait for it, or end it first",
			 "a migrate-helper still looks after process %d", rel->pid);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	remove(path);
	return 0;
}

/* The root, which may have ended before the rest of the program: then there is no pidfd. */
static int get_hold(struct release *rel, struct error *err)
{
	struct guard *guard = &rel->record.guard;

	if (!record_process_is(&rel->record))
		return 0;
	guard->pidfd = proc_pidfd(rel->pid, err);
	if (guard->pidfd < 0)
		return -1;
	/* the kernel may have given the pid to another process before the open */
	return record_process_is(&rel->record) ? 0 :
	       error_set(err, CODE_TARGET, NULL, "process %d has ended", rel->pid);
}

static int let_go(struct release *rel, struct error *err)
{
	int lock = take(rel, err), ret = -1;
	struct error why = { 0 };

	if (lock < 0)
		return -1;
	/* in this order, so that a release that was killed in between can be repeated */
	if (!get_hold(rel, err) &&
	    connections_resume(&rel->record.connections, &rel->record.guard, &why))
		/* a connection that is lost is no reason to let the program stand */
		report_say("%s", why.what);
	if (!error_is_set(err) && !guard_off(&rel->record.guard, err))
		ret = record_remove(rel->dir, rel->kind, err);
	/* no keeper is left that would remove the group of CRIU */
	if (!ret)
		guard_forget(&rel->record.guard);
	if (!ret)
		nftw(rel->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	close(lock);
	return ret;
}

int release_main(int argc, char **argv)
{
	struct release *rel = calloc(1, sizeof(*rel));
	struct error err = { 0 };
	int code;

	if (!rel)
		return CODE_INTERNAL;
	code = options_parse(&verb, argc, argv, rel);
	if (code < 0 && !rel->pid)
		code = options_wrong(&verb, "--pid is missing");
	if (code >= 0) {
		free(rel);
		return code;
	}
	report_init(rel->json);
	if (find(rel, &err) || let_go(rel, &err)) {
		report_error(&err);
	} else {
		report_say(rel->record.guard.pidfd < 0 ?
			   "process %d has ended; the rest of its program goes on here" :
			   "process %d goes on here", rel->pid);
		report_event("released", json_pack("{s:i}", "pid", rel->pid));
	}
	free(rel);
	return err.code;
}
