// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "session/fs_driver.h"

#define COUNT_FD	3
#define END_MS		1000	/* for it to end when it was killed */

int fs_driver_check(const struct fs_driver *driver, struct error *err)
{
	if (driver->command && driver->fd < 0)
		return error_set(err, CODE_USAGE, "--fdfs gives --fs-driver a connection",
				 "no data channel for fs migration");
	if (!driver->command && driver->fd >= 0)
		return error_set(err, CODE_USAGE, NULL, "--fdfs is there, and no --fs-driver that could use it");
	return 0;
}

static void close_all(struct fs_driver *driver)
{
	if (driver->pidfd >= 0)
		close(driver->pidfd);
	close(driver->count_fd);
	driver->pid = 0;
	driver->reaped = false;
}

/* Threads run: no fork. The shell gets a process group of its own, and signals as a new program has them. */
static int spawn(struct fs_driver *driver, int count_fd)
{
	char *argv[] = { "sh", "-c", (char *)driver->command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int ret;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&files, driver->fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, driver->fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, count_fd, COUNT_FD);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	ret = posix_spawn(&driver->pid, "/bin/sh", &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	errno = ret;
	return ret ? -1 : 0;
}

int fs_driver_start(struct fs_driver *driver, struct error *err)
{
	int count[2], high, ret;

	if (pipe2(count, O_CLOEXEC))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start --fs-driver");
	/* neither may be in the way of the other one's number */
	high = fcntl(count[1], F_DUPFD_CLOEXEC, 10);
	close(count[1]);
	driver->count_fd = count[0];
	driver->pidfd = -1;
	ret = high < 0 ? -1 : spawn(driver, high);
	if (ret)
		error_errno(err, CODE_INTERNAL, NULL, "cannot start --fs-driver");
	if (high >= 0)
		close(high);
	if (!ret)
		driver->pidfd = syscall(SYS_pidfd_open, driver->pid, 0);
	if (!ret && driver->pidfd < 0) {
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot watch --fs-driver");
		fs_driver_kill(driver);
	} else if (ret) {
		close_all(driver);
	}
	return ret;
}

static uint64_t read_count(const struct fs_driver *driver)
{
	struct pollfd pfd = { .fd = driver->count_fd, .events = POLLIN };
	char text[32] = "";

	/* what it has left behind may hold the pipe open */
	if (poll(&pfd, 1, 0) <= 0 || read(driver->count_fd, text, sizeof(text) - 1) <= 0)
		return 0;
	return *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0;
}

int fs_driver_wait(struct fs_driver *driver, int timeout_ms, uint64_t *bytes, struct error *err)
{
	struct pollfd pfd = { .fd = driver->pidfd, .events = POLLIN };
	int status = 0;

	if (poll(&pfd, 1, timeout_ms) <= 0)
		return 0;
	*bytes = read_count(driver);
	/* what is not known is no success */
	if (driver->reaped)
		status = driver->status;
	else if (waitpid(driver->pid, &status, 0) < 0)
		status = -1;
	close_all(driver);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 1;
	return error_set(err, CODE_ABORTED, NULL, "--fs-driver could not move the files: it ended with %s %d",
			 WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

bool fs_driver_reaped(struct fs_driver *driver, pid_t pid, int status)
{
	if (!driver->pid || pid != driver->pid)
		return false;
	driver->status = status;
	driver->reaped = true;
	return true;
}

void fs_driver_stop(const struct fs_driver *driver)
{
	if (driver->pid && !driver->reaped)
		kill(-driver->pid, SIGKILL);
}

void fs_driver_kill(struct fs_driver *driver)
{
	if (!driver->pid)
		return;
	fs_driver_stop(driver);
	/* one that waits in the kernel for a dead file server does not end, and the program may stand meanwhile */
	if (driver->pidfd >= 0)
		poll(&(struct pollfd){ .fd = driver->pidfd, .events = POLLIN }, 1, END_MS);
	if (!driver->reaped)
		waitpid(driver->pid, NULL, driver->pidfd >= 0 ? WNOHANG : 0);
	close_all(driver);
}
