// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "kernel/proc.h"
#include "source/guard.h"

#define FREEZE_TIMEOUT_MS	10000
#define KILL_TIMEOUT_MS		10000

int guard_cgroup_mount(char *point, size_t point_size, char *root, size_t root_size)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, at[PATH_MAX], top[PATH_MAX];
	size_t cap = 0;
	int ret = -1;

	while (file && ret && getline(&line, &cap, file) > 0) {
		if (!strstr(line, " - cgroup2 ") ||
		    sscanf(line, "%*d %*d %*s %4095s %4095s", top, at) != 2 ||
		    strlen(at) >= point_size || strlen(top) >= root_size)
			continue;
		strcpy(point, at);
		strcpy(root, strcmp(top, "/") ? top : "");
		ret = 0;
	}
	free(line);
	if (file)
		fclose(file);
	return ret;
}

/* The v2 line of /proc/PID/cgroup, without its end. */
static int read_line(pid_t pid, char *line, size_t size)
{
	char path[32];
	FILE *file;
	int ret = -1;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	file = fopen(path, "re");
	while (file && ret && fgets(line, size, file))
		if (!strncmp(line, "0::/", 4))
			ret = 0;
	if (file)
		fclose(file);
	line[ret ? 0 : strcspn(line, "\n")] = 0;
	return ret;
}

int guard_plan(struct guard *guard, pid_t pid, bool was_stopped, const char *id,
	       struct error *err)
{
	char point[PATH_MAX], root[PATH_MAX];
	const char *path;

	memset(guard, 0, sizeof(*guard));
	guard->pid = pid;
	guard->was_stopped = was_stopped;
	guard->pidfd = proc_pidfd(pid, err);
	if (guard->pidfd < 0)
		return -1;
	if (read_line(pid, guard->line, sizeof(guard->line)) ||
	    guard_cgroup_mount(point, sizeof(point), root, sizeof(root)))
		return 0;
	path = guard->line + 3;
	if (strncmp(path, root, strlen(root)) || !strncmp(path, "/..", 3))
		return 0;
	path += strlen(root);
	if (strlen(point) + strlen(path) >= sizeof(guard->home))
		return 0;
	stpcpy(stpcpy(guard->home, point), strcmp(path, "/") ? path : "");
	snprintf(guard->group, sizeof(guard->group), "%s/migrate-helper-%s", guard->home, id);
	return 0;
}

static int write_file(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX + 128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

static bool is_frozen(const struct guard *guard)
{
	char path[PATH_MAX + 128], line[64];
	bool frozen = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.events", guard->group);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strcmp(line, "frozen 1\n"))
			frozen = true;
	if (file)
		fclose(file);
	return frozen;
}

static int wait_frozen(const struct guard *guard, struct error *err)
{
	struct timespec tick = { .tv_nsec = 1000000 };

	for (int ms = 0; ms < FREEZE_TIMEOUT_MS; ms++) {
		if (is_frozen(guard))
			return 0;
		nanosleep(&tick, NULL);
	}
	return error_set(err, CODE_INTERNAL, NULL, "group %s did not freeze within %d s",
			 guard->group, FREEZE_TIMEOUT_MS / 1000);
}

static int send_signal(const struct guard *guard, int sig)
{
	return syscall(SYS_pidfd_send_signal, guard->pidfd, sig, NULL, 0);
}

static int stop_by_signal(struct guard *guard, struct error *err)
{
	guard->signalled = true;
	if (send_signal(guard, SIGSTOP))
		return error_errno(err, CODE_TARGET, NULL, "cannot stop process %d", guard->pid);
	return 0;
}

static int freeze_group(struct guard *guard, struct error *err)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", guard->pid);
	/* the pid is that of the task as long as its pidfd is not readable */
	if (send_signal(guard, 0))
		return error_errno(err, CODE_TARGET, NULL, "process %d has exited", guard->pid);
	if (write_file(guard->group, "cgroup.procs", pid) ||
	    write_file(guard->group, "cgroup.freeze", "1"))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot freeze group %s",
				   guard->group);
	return wait_frozen(guard, err);
}

int guard_on(struct guard *guard, struct error *err)
{
	if (!*guard->home || (mkdir(guard->group, 0755) && errno != EEXIST))
		return stop_by_signal(guard, err);
	if (!freeze_group(guard, err))
		return 0;
	guard_off(guard, &(struct error){ 0 });
	return -1;
}

static int compare(const struct guard *guard, struct error *err)
{
	char line[PATH_MAX];

	if (!*guard->line || read_line(guard->pid, line, sizeof(line)) ||
	    !strcmp(line, guard->line))
		return 0;
	return error_set(err, CODE_INTERNAL, "move it back by hand",
			 "process %d was in cgroup %s and is in %s now", guard->pid,
			 guard->line + 3, line + 3);
}

int guard_off(struct guard *guard, struct error *err)
{
	char pid[16];

	/* a task that was stopped before stays so: SIGSTOP changed nothing */
	if (guard->signalled && !guard->was_stopped && send_signal(guard, SIGCONT))
		return error_errno(err, CODE_TARGET, NULL, "cannot continue process %d",
				   guard->pid);
	guard->signalled = false;
	if (!*guard->group || access(guard->group, F_OK))
		return 0;
	snprintf(pid, sizeof(pid), "%d", guard->pid);
	if (write_file(guard->group, "cgroup.freeze", "0"))
		return error_errno(err, CODE_INTERNAL, "write 0 to its cgroup.freeze",
				   "cannot thaw group %s", guard->group);
	if (!send_signal(guard, 0))
		write_file(guard->home, "cgroup.procs", pid);
	guard_forget(guard);
	return compare(guard, err);
}

int guard_kill(struct guard *guard, struct error *err)
{
	if (send_signal(guard, SIGKILL) && errno != ESRCH)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot kill process %d", guard->pid);
	return 0;
}

int guard_wait_dead(struct guard *guard, struct error *err)
{
	struct pollfd pfd = { .fd = guard->pidfd, .events = POLLIN };
	int ret;

	do {
		ret = poll(&pfd, 1, KILL_TIMEOUT_MS);
	} while (ret < 0 && errno == EINTR);
	return ret > 0 ? 0 : error_set(err, CODE_INTERNAL, NULL,
				       "process %d was killed and does not die", guard->pid);
}

void guard_forget(struct guard *guard)
{
	struct timespec tick = { .tv_nsec = 10000000 };

	/* the last thread leaves the group a moment after its pidfd says so */
	for (int i = 0; i < 100 && *guard->group; i++) {
		if (!rmdir(guard->group) || errno != EBUSY)
			return;
		nanosleep(&tick, NULL);
	}
}
