// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include "base/spread.h"
#include "os/proc.h"
#include "os/proc_files.h"
#include "os/proc_tree.h"
#include "source/guard_lock.h"

/* The keeper of a migration that was given up, or released, ends a moment after the program goes on. */
#define LOCK_MS		2000
#define LOCK_TICK_MS	20

static int open_memory(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int lock_within(int fd, int kind, int timeout_ms)
{
	const struct timespec tick = { .tv_nsec = LOCK_TICK_MS * 1000000 };
	int ret;

	while ((ret = flock(fd, kind | LOCK_NB)) && errno == EWOULDBLOCK && timeout_ms > 0) {
		nanosleep(&tick, NULL);
		timeout_ms -= LOCK_TICK_MS;
	}
	return ret;
}

/* A process without memory, that is gone or not ours to look at has no lock of another migration. */
static bool has_no_lock(void)
{
	return errno == ENOENT || errno == ESRCH || errno == EACCES || errno == EPERM;
}

/* The process that took a lock on @st, as /proc/locks has it: "1: FLOCK ADVISORY WRITE 77 00:15:4711 0 EOF"; 0: none */
static pid_t find_locker(const struct stat *st)
{
	unsigned int major_nr, minor_nr;
	unsigned long ino;
	pid_t pid, found = 0;
	char line[256];
	FILE *file = fopen("/proc/locks", "re");

	while (file && !found && fgets(line, sizeof(line), file))
		if (sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major_nr, &minor_nr, &ino) == 4 &&
		    ino == st->st_ino && makedev(major_nr, minor_nr) == st->st_dev)
			found = pid;
	if (file)
		fclose(file);
	return found;
}

/* Anybody who may trace a process can lock its memory, and the process itself. A helper that has ended left its keeper. */
static bool is_strangers(pid_t pid, pid_t *locker, char comm[32])
{
	int fd = open_memory(pid);
	struct stat st;

	*locker = fd >= 0 && !fstat(fd, &st) ? find_locker(&st) : 0;
	if (fd >= 0)
		close(fd);
	if (*locker <= 0)
		return false;
	proc_comm(*locker, comm);
	return strcmp(comm, "?") && strncmp(comm, "migrate-", 8);
}

static int say_locked(pid_t pid, struct error *err)
{
	char comm[32];
	pid_t locker;

	if (errno != EWOULDBLOCK)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot lock process %d", pid);
	if (is_strangers(pid, &locker, comm))
		return error_set(err, CODE_REFUSED, "let it give the lock up, or end it",
				 "process %d (%s) has a lock (flock) on /proc/%d/mem, by which migrations keep each other off",
				 locker, comm, pid);
	return error_set(err, CODE_REFUSED, "wait until it has ended",
			 "another migration of process %d is under way", pid);
}

/* Return: 0; -1 with errno: EWOULDBLOCK when another migration has @pid for longer than @timeout_ms; else it cannot be looked at */
static int look_at_lock(pid_t pid, int timeout_ms)
{
	int fd = open_memory(pid), ret, saved;

	if (fd < 0)
		return has_no_lock() ? 0 : -1;
	/* others who look have a shared lock too */
	ret = lock_within(fd, LOCK_SH, timeout_ms);
	saved = errno;
	close(fd);
	errno = saved;
	return ret;
}

/* An ancestor that ends meanwhile leaves the root to another parent: the rest of the chain moves nothing of it. */
static int check_ancestors(pid_t pid, int timeout_ms, struct error *err)
{
	struct error ended = { 0 };
	struct proc_status status;

	while (!proc_stat_read(pid, &status, &ended) && status.ppid > 0) {
		pid = status.ppid;
		if (look_at_lock(pid, timeout_ms))
			return say_locked(pid, err);
	}
	return 0;
}

static int check_descendant(void *ctx, size_t at, struct error *err)
{
	const pid_t *pids = ctx;

	/* the first is the root itself */
	return at && look_at_lock(pids[at], LOCK_MS) ? say_locked(pids[at], err) : 0;
}

static int check_descendants(pid_t root, struct error *err)
{
	pid_t *pids;
	size_t nr;
	int ret;

	if (proc_tree(root, &pids, &nr, err))
		return -1;
	ret = spread_run(nr, check_descendant, pids, err);
	free(pids);
	return ret;
}

int guard_lock(struct guard *guard, struct error *err)
{
	int fd = open_memory(guard->pid), ret;

	/* a process without memory, or that is not ours to move, is refused by name later */
	if (fd < 0)
		return has_no_lock() ? 0 : say_locked(guard->pid, err);
	/* nobody waits for the own lock yet: there is time for the end of another migration */
	ret = check_ancestors(guard->pid, LOCK_MS, err);
	if (!ret && lock_within(fd, LOCK_EX, LOCK_MS))
		ret = say_locked(guard->pid, err);
	if (!ret)
		ret = check_ancestors(guard->pid, 0, err) || check_descendants(guard->pid, err) ? -1 : 0;
	if (ret)
		close(fd);
	else
		guard->lock_fd = fd;
	return ret;
}
