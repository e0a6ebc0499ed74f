/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where connections come in: nobody is waited for, so that a caller who says nothing
 * or garbage keeps nobody else out.
 */
#ifndef MIGRATE_DEST_DOOR_H
#define MIGRATE_DEST_DOOR_H

#include <poll.h>
#include "ui/error.h"
#include "wire/conn.h"

#define DOOR_CALLERS	64	/* who may be in the doorway at a time; the oldest has to go */

/**
 * struct caller - a connection whose preamble is coming, or that waits for its migration
 * @fd: -1: free
 * @got: bytes of the preamble that are here
 * @deadline_ms: when it is closed
 * @host: its address without the port; empty for a UNIX socket
 */
struct caller {
	int fd;
	size_t got;
	int64_t deadline_ms;
	struct conn_preamble preamble;
	char peer[64], host[64];
};

/**
 * struct door - where connections come in
 * @path: of a UNIX socket, or empty
 * @strangers: callers that were closed
 * @said, @said_ms: how many of them stand in the log, of late; @unsaid: how many more there were
 */
struct door {
	int listen_fd;
	char path[128];
	struct caller callers[DOOR_CALLERS];
	uint64_t strangers, unsaid;
	unsigned int said;
	int64_t said_ms;
};

/** door_open() - listen at @where, which conn_check_where() found good */
int door_open(struct door *door, const char *where, struct error *err);
void door_close(struct door *door);

/** door_poll() - fill @fds (1 + DOOR_CALLERS); those of no interest have fd -1 */
void door_poll(const struct door *door, struct pollfd *fds);

/**
 * door_step() - accept and read as @fds say, close whose time is up
 *
 * Then every caller with got == sizeof(preamble) is complete and valid: take its
 * fd and set that to -1, or leave it until its deadline.
 */
void door_step(struct door *door, const struct pollfd *fds);

/** door_callers_of() - how many of that address are in the doorway */
size_t door_callers_of(const struct door *door, const char *host);

/** door_turn_away() - close, log and count */
void door_turn_away(struct door *door, struct caller *caller, const char *why);

#endif
