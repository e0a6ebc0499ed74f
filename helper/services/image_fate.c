// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "os/proc.h"
#include "services/image_fate.h"

#define LOOK_MS		50
#define DIE_MS		500	/* from SIGKILL, or CRIU's stats, to what the proxy sees of it */
#define STATS		"stats-dump"

static struct stat stats_now(int dir_fd)
{
	struct stat st = { 0 };

	if (dir_fd < 0 || fstatat(dir_fd, STATS, &st, AT_SYMLINK_NOFOLLOW))
		memset(&st, 0, sizeof(st));
	return st;
}

void image_fate_watch(struct image_fate *fate, pid_t criu, int root_fd, bool leave_running)
{
	struct error ignored = { 0 };
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/cwd", criu);
	*fate = (struct image_fate){
		.root_fd = root_fd, .criu_fd = criu > 0 ? proc_pidfd(criu, &ignored) : -1,
		.dir_fd = leave_running ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1,
	};
	fate->stats = stats_now(fate->dir_fd);
}

void image_fate_close(struct image_fate *fate)
{
	if (fate->root_fd >= 0)
		close(fate->root_fd);
	if (fate->criu_fd >= 0)
		close(fate->criu_fd);
	if (fate->dir_fd >= 0)
		close(fate->dir_fd);
	*fate = IMAGE_FATE_NONE;
}

static bool has_ended(int pidfd)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&pfd, 1, 0) > 0;
}

static bool has_stats(const struct image_fate *fate)
{
	struct stat now = stats_now(fate->dir_fd);

	return now.st_ino && (now.st_ino != fate->stats.st_ino || now.st_mtim.tv_sec != fate->stats.st_mtim.tv_sec ||
			      now.st_mtim.tv_nsec != fate->stats.st_mtim.tv_nsec);
}

bool image_fate_criu_ended(const struct image_fate *fate)
{
	return has_ended(fate->criu_fd);
}

int image_fate_error(struct error *err)
{
	return error_set(err, CODE_CRIU, "images of criu dump --leave-running count with image-proxy --leave-running",
			 "CRIU ended before it had ended the program, which goes on here");
}

int image_fate_no_root(struct error *err)
{
	return error_set(err, CODE_CRIU, "CRIU 2.0 or later and Linux 5.3 or later are needed",
			 "the action script knows no pidfd of the program's first process");
}

int image_fate_no_tracer(struct error *err)
{
	return error_set(err, CODE_CRIU, "run image-proxy in the PID namespace of criu dump, or in one above it",
			 "the program that the action script names is traced by no criu that is seen here");
}

/* Return: the pid here; 0 when the process has no number here; -1 when it has ended */
static pid_t pid_of(int pidfd)
{
	char path[48], text[1024];
	const char *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	at = strstr(text, "\nPid:");
	return at ? atoi(at + strlen("\nPid:")) : 0;
}

pid_t image_fate_tracer(int root_fd)
{
	struct error ignored = { 0 };
	struct proc_status status;
	pid_t pid = pid_of(root_fd);

	return pid > 0 && !proc_status_alone(pid, &status, &ignored) ? status.tracer : 0;
}

static bool has_sigkill(const char *status, const char *field)
{
	const char *at = strstr(status, field);

	return at && (strtoull(at + strlen(field), NULL, 16) & (1ULL << (SIGKILL - 1)));
}

static bool is_dying(int pidfd)
{
	pid_t pid = pid_of(pidfd);
	char path[32], exe, *status;
	bool dying;

	if (pid <= 0)
		return pid < 0;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (readlink(path, &exe, 1) < 0 && errno == ENOENT)
		return true;
	status = proc_text(pid, "status");
	dying = status && (has_sigkill(status, "\nSigPnd:") || has_sigkill(status, "\nShdPnd:"));
	free(status);
	return dying;
}

enum image_fate_is image_fate_look(struct image_fate *fate, bool hung_up)
{
	bool ended = fate->criu_fd >= 0 ? has_ended(fate->criu_fd) : hung_up;

	if (has_ended(fate->root_fd) || has_stats(fate))
		return FATE_GONE;
	if (!ended)
		return FATE_UNKNOWN;
	if (!fate->since_ms)
		fate->since_ms = clock_now_ms();
	if (clock_now_ms() - fate->since_ms < DIE_MS || is_dying(fate->root_fd))
		return FATE_UNKNOWN;
	return FATE_STAYS;
}

enum image_fate_is image_fate_wait(struct image_fate *fate, const atomic_bool *stop)
{
	enum image_fate_is is = image_fate_look(fate, true);

	while (is == FATE_UNKNOWN && !atomic_load(stop)) {
		struct pollfd pfd = { .fd = fate->root_fd, .events = POLLIN };

		poll(&pfd, 1, LOOK_MS);
		is = image_fate_look(fate, true);
	}
	return is;
}
