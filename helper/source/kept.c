// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>
#include "backend/uffd_wp.h"
#include "base/clock.h"
#include "base/fdpass.h"
#include "os/fds.h"
#include "source/kept.h"

#define RELEASE_POLL_MS		500
#define HELPER_GRACE_MS		15000	/* beyond --max-frozen, for a helper that gives up itself */

/**
 * struct kept - the keeper process's own state
 * @record: the guard of the program in it is the one that is used
 * @lock_fd: the keeper's shared lock on the record; -1: COMMIT is not recorded
 * @guard_lock_fd: the same of the guard's record; -1: the guard is not on
 * @helper_fd: pidfd of the helper
 * @session_fd, @uffd: of the write-protect tracker, duplicates; -1: there is none
 * @until_ns: CLOCK_MONOTONIC: then a helper that has done nothing is ended. 0: no limit
 */
struct kept {
	struct record record;
	char dir[PATH_MAX];
	int sock, lock_fd, guard_lock_fd, helper_fd, session_fd, uffd;
	uint64_t until_ns;
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

static void kept_commit(struct kept *kept, struct error *err)
{
	if (kept->lock_fd < 0)
		kept->lock_fd = record_write(kept->dir, RECORD_COMMIT, &kept->record, err);
	/* what could not be written whole may be there all the same */
	if (kept->lock_fd < 0)
		kept->lock_fd = record_lock(kept->dir, RECORD_COMMIT);
}

static void kept_uncommit(struct kept *kept, struct error *err)
{
	if (record_remove(kept->dir, RECORD_COMMIT, err) || kept->lock_fd < 0)
		return;
	close(kept->lock_fd);
	kept->lock_fd = -1;
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
	struct error ignored = { 0 };

	if (guard_off(&kept->record.guard, err))
		return;
	record_remove(kept->dir, RECORD_GUARD, &ignored);
	if (kept->guard_lock_fd >= 0)
		close(kept->guard_lock_fd);
	kept->guard_lock_fd = -1;
}

static void kept_keep(struct kept *kept, int session_fd, int uffd)
{
	if (kept->uffd >= 0)
		close(kept->uffd);
	if (kept->session_fd >= 0)
		close(kept->session_fd);
	kept->session_fd = session_fd;
	kept->uffd = uffd;
}

/*
 * The tracker's helper was killed. A fault of the program would wait while the last close of the
 * userfaultfd lifts the protection of all memory at once.
 */
static void kept_unprotect(struct kept *kept)
{
	if (kept->uffd >= 0 && kept->session_fd >= 0)
		uffd_wp_unprotect(kept->session_fd, kept->uffd);
	kept_keep(kept, -1, -1);
}

/* Return: false when the keeper is to end */
static bool kept_request(struct kept *kept, struct keeper_msg *msg, const int *fds)
{
	struct guard *guard = &kept->record.guard;

	memset(&msg->err, 0, sizeof(msg->err));
	switch (msg->op) {
	case OP_ENTER:
		guard_enter(guard, &msg->err);
		break;
	case OP_GUARD:
		/* the helper looks at the clock itself, and is the first to act */
		kept->until_ns = clock_now_ns() + (msg->limit_ms + HELPER_GRACE_MS) * 1000000UL;
		kept_guard(kept, &msg->err);
		break;
	case OP_UNGUARD:
		kept->until_ns = 0;
		if (kept->lock_fd >= 0)
			error_set(&msg->err, CODE_INTERNAL, NULL, "COMMIT is recorded already");
		else
			kept_unguard(kept, &msg->err);
		break;
	case OP_KEEP:
		kept_keep(kept, fds[0], fds[1]);
		break;
	case OP_COMMIT:
		kept->until_ns = 0;
		kept_commit(kept, &msg->err);
		break;
	case OP_UNCOMMIT:
		kept_uncommit(kept, &msg->err);
		break;
	case OP_KILL:
		guard_kill(guard, &msg->err);
		break;
	case OP_END:
		guard_forget(guard);
		source_kept_remove_dir(kept->dir, msg->keep_log);
		break;
	}
	send(kept->sock, msg, sizeof(*msg), MSG_NOSIGNAL);
	return msg->op != OP_END;
}

/*
 * The program may run elsewhere: it stands here until it is ended, or a person lets it go, for
 * which the record is removed.
 */
static void kept_wait(struct kept *kept)
{
	char path[PATH_MAX];

	record_path(kept->dir, RECORD_COMMIT, path, sizeof(path));
	openlog("migrate-helper", LOG_PID, LOG_DAEMON);
	syslog(LOG_WARNING,
	       "process %d was handed over to %s and stays stopped here; its migrate-helper has ended. Look whether it runs there; if not: migrate-helper release --pid %d --force",
	       kept->record.guard.pid, kept->record.to, kept->record.guard.pid);
	closelog();
	close(kept->lock_fd);
	if (kept->guard_lock_fd >= 0)
		close(kept->guard_lock_fd);
	while (!guard_wait_end(&kept->record.guard, RELEASE_POLL_MS) && !access(path, F_OK))
		;
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
static void kept_alone(struct kept *kept)
{
	struct error why = { 0 };

	if (kept->lock_fd >= 0) {
		kept_wait(kept);
		return;
	}
	if (guard_off(&kept->record.guard, &why))
		say_stuck(kept, &why);
	kept_unprotect(kept);
	guard_forget(&kept->record.guard);
	/* a CRIU that found the group frozen has frozen it again on its way out */
	guard_off(&kept->record.guard, &why);
	source_kept_remove_dir(kept->dir, false);
}

/* A helper that is stopped, or stuck, would keep the program standing without a word. */
static void end_helper(struct kept *kept)
{
	struct pollfd helper = { .fd = kept->helper_fd, .events = POLLIN };

	openlog("migrate-helper", LOG_PID, LOG_DAEMON);
	syslog(LOG_WARNING,
	       "the migrate-helper that moves process %d did nothing for too long and is ended; the process goes on here",
	       kept->record.guard.pid);
	closelog();
	syscall(SYS_pidfd_send_signal, kept->helper_fd, SIGKILL, NULL, 0);
	poll(&helper, 1, HELPER_GRACE_MS);
}

/* Return: false when there is no helper any more */
static bool kept_receive(struct kept *kept, struct keeper_msg *msg, int *fds)
{
	uint64_t now = clock_now_ns();
	int ret, left_ms = -1;

	if (kept->until_ns)
		left_ms = kept->until_ns > now ? (kept->until_ns - now) / 1000000 + 1 : 0;
	ret = fdpass_recv(kept->sock, msg, sizeof(*msg), fds, left_ms);
	if (ret < 0 && errno == ETIMEDOUT)
		end_helper(kept);
	return ret > 0;
}

static struct kept *kept_new(const struct record *record, const char *dir, int sock, int helper_fd)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (!kept)
		_exit(1);
	kept->record = *record;
	snprintf(kept->dir, sizeof(kept->dir), "%s", dir);
	kept->sock = sock;
	kept->helper_fd = helper_fd;
	kept->lock_fd = kept->guard_lock_fd = kept->session_fd = kept->uffd = -1;
	return kept;
}

void source_kept_run(const struct record *record, const char *dir, int sock, int helper_fd)
{
	struct kept *kept = kept_new(record, dir, sock, helper_fd);
	const int keep[] = { kept->sock, kept->record.guard.pidfd, kept->helper_fd };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct keeper_msg msg;
	int fds[FDPASS_MAX];
	sigset_t set;

	prctl(PR_SET_NAME, "migrate-keeper");
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	fds_close_others(keep, sizeof(keep) / sizeof(*keep));
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	if (chdir("/"))
		_exit(1);
	while (kept_receive(kept, &msg, fds))
		if (!kept_request(kept, &msg, fds))
			_exit(0);
	kept_alone(kept);
	_exit(0);
}
