/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A command of the user's that moves files over a connection of the caller's (--fs-driver, --fdfs): at the source it is run for each
 * sync, at the destination once, for as long as the connection lasts. Its standard input and output are the connection; the source's
 * writes to descriptor 3 how many bytes it moved.
 */
#ifndef MIGRATE_SESSION_FS_DRIVER_H
#define MIGRATE_SESSION_FS_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * struct fs_driver - of one end
 * @command: for the shell; NULL: there is none, files do not move
 * @fd: of --fdfs
 * @pid: of the shell that runs; 0: none does
 * @count_fd: what it writes to descriptor 3
 * @reaped: fs_driver_reaped() has its @status
 */
struct fs_driver {
	const char *command;
	int fd;
	pid_t pid;
	int pidfd, count_fd, status;
	bool reaped;
};

/** fs_driver_check() - files move, and there is something that they can move over */
int fs_driver_check(const struct fs_driver *driver, struct error *err);
int fs_driver_start(struct fs_driver *driver, struct error *err);
/**
 * fs_driver_wait() - until it ends
 * Return: 1 with *@bytes; 0 after @timeout_ms; -1 with @err: it failed
 */
int fs_driver_wait(struct fs_driver *driver, int timeout_ms, uint64_t *bytes, struct error *err);
/** fs_driver_reaped() - for who reaps all children: true when @pid was the driver's */
bool fs_driver_reaped(struct fs_driver *driver, pid_t pid, int status);
/** fs_driver_stop() - kill it, in any thread; fs_driver_wait() sees its end */
void fs_driver_stop(const struct fs_driver *driver);
/** fs_driver_kill() - it and what it has started; nothing when none runs */
void fs_driver_kill(struct fs_driver *driver);

#endif
