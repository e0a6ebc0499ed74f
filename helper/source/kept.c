// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ftw.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "backend/uffd_wp.h"
#include "base/clock.h"
#include "source/kept.h"
#include "source/kept_trackers.h"

#define RELEASE_POLL_MS		500
#define HELPER_GRACE_MS		15000	/* beyond --max-frozen, for a helper that gives up itself */

/**
 * struct kept - the keeper process's own state
 * @record: the guard of the program in it is the one that is used
 * @lock_fd: the keeper's shared lock on the record; -1: COMMIT is not recorded
 * @guard_lock_fd: the same of the guard's record; -1: the guard is not on
 * @trackers: that write-protect the program
 */
struct kept {
	struct keeper_loop loop;
	struct record record;
	char dir[PATH_MAX];
	int lock_fd, guard_lock_fd;
	struct kept_trackers trackers;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	remove(path);
	return 0;
}

static int remove_but_log(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_DP || strcmp(path + ftw->base, "dump.log"))
		remove(path);
	return 0;
}

void source_kept_remove_dir(const char *dir, bool keep_log)
{
	nftw(dir, keep_log ? remove_but_log : remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void kept_lock(struct kept *kept, const struct keeper_turn *turn, struct error *err)
{
	struct connections *connections = &kept->record.connections;

	if (keeper_data_read(turn->fds[0], &connections->addresses, sizeof(connections->addresses)))
		error_errno(err, CODE_INTERNAL, NULL, "the keeper cannot read the addresses");
	else
		connections_lock(connections, turn->request.value, err);
}

/* The disk takes its time. A helper that has died meanwhile will not say COMMIT: nothing is recorded then. */
static int note_commit(struct kept *kept, struct error *err)
{
	struct pollfd helper = { .fd = kept->loop.helper_fd, .events = POLLIN };

	if (ledger_set(&kept->record.ledger, LEDGER_COMMITTED, err))
		return -1;
	return poll(&helper, 1, 0) > 0 ? error_set(err, CODE_INTERNAL, NULL, "migrate-helper has ended") : 0;
}

static void kept_commit(struct kept *kept, struct error *err)
{
	/* the destination says at COMMIT that it has the addresses */
	if (kept->record.connections.on &&
	    connections_lock(&kept->record.connections, NET_FILTER_ALL, err))
		return;
	if (kept->lock_fd < 0 && note_commit(kept, err))
		return;
	if (kept->lock_fd < 0)
		kept->lock_fd = record_write(kept->dir, RECORD_COMMIT, &kept->record, err);
	/* what could not be written whole may be there all the same */
	if (kept->lock_fd < 0)
		kept->lock_fd = record_lock(kept->dir, RECORD_COMMIT);
}

static void kept_uncommit(struct kept *kept, struct error *err)
{
	char path[PATH_MAX];
	int ret = record_remove(kept->dir, RECORD_COMMIT, err);

	/* it may be gone although its directory could not be synced: the helper takes it for undone then */
	record_path(kept->dir, RECORD_COMMIT, path, sizeof(path));
	if ((ret && !access(path, F_OK)) || kept->lock_fd < 0)
		return;
	close(kept->lock_fd);
	kept->lock_fd = -1;
	/* what it says is behind the record until then, which decides */
	ledger_set(&kept->record.ledger, LEDGER_PREPARED, &(struct error){ 0 });
}

/* Recorded first: helper and keeper may be killed together, and a person has to find the program. */
static void kept_guard(struct kept *kept, struct error *err)
{
	struct guard *guard = &kept->record.guard;

	/* where there is no freezer, a signal stands in for it */
	guard->signalled = guard->group.kind == CGROUP_NONE;
	/* CRIU thawed the program: the record is there */
	if (kept->guard_lock_fd < 0)
		kept->guard_lock_fd = record_write(kept->dir, RECORD_GUARD, &kept->record, err);
	guard->signalled = false;
	if (kept->guard_lock_fd >= 0)
		guard_on(guard, err);
}

static void kept_unguard(struct kept *kept, struct error *err)
{
	struct connections *connections = &kept->record.connections;
	struct error ignored = { 0 };

	/* a connection that is lost is no reason to let the program stand */
	if (connections->on || connections->inside)
		connections_resume(connections, &kept->record.guard, err);
	if (guard_off(&kept->record.guard, err))
		return;
	record_remove(kept->dir, RECORD_GUARD, &ignored);
	if (kept->guard_lock_fd >= 0)
		close(kept->guard_lock_fd);
	kept->guard_lock_fd = -1;
}

static void kept_keep(struct kept *kept, struct keeper_turn *turn)
{
	int *fds = turn->fds;

	if (fds[0] < 0 || fds[1] < 0) {
		kept_trackers_forget(&kept->trackers, turn->request.value);
		return;
	}
	kept_trackers_add(&kept->trackers, turn->request.value, fds[0], fds[1], &turn->answer.err);
	fds[0] = fds[1] = -1;
}

static void kept_throttle(struct kept *kept, long quota_us, struct error *err)
{
	if (quota_us)
		cgroup_cpu_set(&kept->record.cpu, quota_us, err);
	else
		cgroup_cpu_restore(&kept->record.cpu, err);
}

/*
 * The trackers' helper was killed. A fault of the program would wait while the last close of a
 * userfaultfd lifts the protection of all memory at once.
 */
static void kept_unprotect(struct kept *kept)
{
	kept_trackers_end(&kept->trackers, uffd_cover_unprotect);
}

/* The helper looks at the clock itself, and is the first to act. */
static void kept_limit(struct kept *kept, int timeout_ms)
{
	kept->loop.until_ns = clock_now_ns() + (timeout_ms + HELPER_GRACE_MS) * 1000000UL;
}

static bool kept_request(void *ctx, struct keeper_turn *turn)
{
	struct error *err = &turn->answer.err;
	struct kept *kept = ctx;
	struct guard *guard = &kept->record.guard;

	switch ((enum source_keeper_op)turn->request.op) {
	case OP_ENTER:
		/* CRIU may make the program stand, without a word to this keeper */
		kept_limit(kept, turn->request.value);
		guard_enter(guard, err);
		break;
	case OP_GUARD:
		kept_limit(kept, turn->request.value);
		kept_guard(kept, err);
		break;
	case OP_UNGUARD:
		kept->loop.until_ns = 0;
		if (kept->lock_fd >= 0)
			error_set(err, CODE_INTERNAL, NULL, "COMMIT is recorded already");
		else
			kept_unguard(kept, err);
		break;
	case OP_KEEP:
		kept_keep(kept, turn);
		break;
	case OP_THROTTLE:
		kept_throttle(kept, turn->request.value, err);
		break;
	case OP_LOCK:
		kept_lock(kept, turn, err);
		break;
	case OP_COMMIT:
		kept_commit(kept, err);
		if (kept->lock_fd >= 0)
			kept->loop.until_ns = 0;
		break;
	case OP_UNCOMMIT:
		kept_uncommit(kept, err);
		/* the program goes on in a moment, or the helper is stuck */
		if (kept->lock_fd < 0)
			kept_limit(kept, 0);
		break;
	case OP_KILL:
		guard_kill(guard, err);
		break;
	case OP_END:
		kept_throttle(kept, 0, &(struct error){ 0 });
		guard_forget(guard);
		source_kept_remove_dir(kept->dir, turn->request.value);
		break;
	}
	return turn->request.op != OP_END;
}

/*
 * The root was killed here: the rest of the program ends with it. The record is locked, so that no
 * `release` takes processes out of the group meanwhile.
 * Return: false when they are not dead yet, or `release` has the record
 */
static bool kept_end_rest(struct kept *kept)
{
	struct error ignored = { 0 };
	int fd = record_lock(kept->dir, RECORD_COMMIT);
	bool ended = fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB);

	if (ended)
		ended = !guard_kill(&kept->record.guard, &ignored) &&
			!guard_wait_dead(&kept->record.guard, &ignored);
	if (fd >= 0)
		close(fd);
	return ended;
}

/*
 * The program may run elsewhere: it stands here until its root is killed, or a person lets it go, for
 * which the record is removed.
 */
static void kept_wait(struct kept *kept)
{
	const struct timespec tick = { .tv_nsec = 10000000 };
	char path[PATH_MAX];
	bool ended = false;

	record_path(kept->dir, RECORD_COMMIT, path, sizeof(path));
	openlog("migrate-helper", LOG_PID, LOG_DAEMON);
	syslog(LOG_WARNING,
	       "process %d was handed over to %s and stays stopped here; its migrate-helper has ended. Look whether it runs there; if not: migrate-helper release --pid %d --force",
	       kept->record.guard.pid, kept->record.to, kept->record.guard.pid);
	closelog();
	close(kept->lock_fd);
	if (kept->guard_lock_fd >= 0)
		close(kept->guard_lock_fd);
	ledger_let_go(&kept->record.ledger);
	/* a person may let the program go */
	kept_unprotect(kept);
	while (!ended && !access(path, F_OK)) {
		ended = guard_wait_end(&kept->record.guard, RELEASE_POLL_MS) && kept_end_rest(kept);
		/* guard_wait_end() does not wait any more once the root has ended */
		nanosleep(&tick, NULL);
	}
	if (ended)
		ledger_set(&kept->record.ledger, LEDGER_ENDED, &(struct error){ 0 });
	if (ended)
		connections_leave(&kept->record.connections, &kept->record.guard,
				  &(struct error){ 0 });
	guard_forget(&kept->record.guard);
	source_kept_remove_dir(kept->dir, false);
}

/* Nobody else is left who could say it. */
static void say_stuck(const struct kept *kept, const struct error *why)
{
	openlog("migrate-helper", LOG_PID, LOG_DAEMON);
	syslog(LOG_ERR, "process %d stands, its migration has ended, and it could not be let go: %s%s%s",
	       kept->record.guard.pid, why->what, *why->hint ? "; try: " : "", why->hint);
	closelog();
}

/* The helper is dead. */
static bool kept_alone(void *ctx)
{
	struct error why = { 0 };
	struct kept *kept = ctx;

	kept_throttle(kept, 0, &(struct error){ 0 });
	if (kept->lock_fd >= 0) {
		kept_wait(kept);
		return false;
	}
	if (kept->record.connections.on || kept->record.connections.inside)
		connections_resume(&kept->record.connections, &kept->record.guard, &why);
	if (guard_off(&kept->record.guard, &why))
		say_stuck(kept, &why);
	kept_unprotect(kept);
	guard_forget(&kept->record.guard);
	/* a CRIU that was between its last notification and the one in which it is held */
	connections_resume(&kept->record.connections, &kept->record.guard, &why);
	/* a CRIU that found the group frozen has frozen it again on its way out */
	if (!guard_off(&kept->record.guard, &why))
		ledger_set(&kept->record.ledger, LEDGER_ABORTED, &why);
	source_kept_remove_dir(kept->dir, false);
	return false;
}

/* A helper that is stopped, or stuck, would keep the program standing without a word. */
static void kept_late(void *ctx)
{
	struct kept *kept = ctx;

	openlog("migrate-helper", LOG_PID, LOG_DAEMON);
	syslog(LOG_WARNING,
	       "the migrate-helper that moves process %d did nothing for too long and is ended; the process goes on here",
	       kept->record.guard.pid);
	closelog();
}

static const struct keeper_ops kept_ops = {
	.request = kept_request, .late = kept_late, .alone = kept_alone,
};

int source_kept_start(struct keeper_process *process, const struct record *record, const char *dir,
		      struct error *err)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	int ret;

	if (!kept)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
	kept->loop = (struct keeper_loop){
		.ops = &kept_ops, .ctx = kept, .keep = { record->guard.pidfd, record->guard.lock_fd, record->ledger.fd },
	};
	kept->record = *record;
	snprintf(kept->dir, sizeof(kept->dir), "%s", dir);
	kept->lock_fd = kept->guard_lock_fd = -1;
	ret = keeper_process_start(process, &kept->loop, err);
	free(kept);
	return ret;
}
