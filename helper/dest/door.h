/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where connections come in: nobody is waited for, so that a caller who says nothing
 * or garbage keeps nobody else out.
 */
#ifndef MIGRATE_DEST_DOOR_H
#define MIGRATE_DEST_DOOR_H

#include <poll.h>
#include "base/error.h"
#include "wire/conn.h"
#include "wire/unix.h"

#define DOOR_CALLERS	64	/* who may be in the doorway at a time; the oldest has to go */

/**
 * struct caller - a connection whose preamble is coming, or that waits for its migration
 * @fd: -1: free
 * @got: bytes of the preamble that are here
 * @deadline_ms: when it is closed
 * @host: its address, as door_host() has it
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
 * @path: of a UNIX socket, or empty; @file: what was bound there
 * @strangers: callers that were closed
 * @said: lines of the log about strangers, of late; @said_ms: when they were last counted down;
 *	@unsaid: strangers without a line
 */
struct door {
	int listen_fd;
	char path[128];
	struct unix_file file;
	struct caller callers[DOOR_CALLERS];
	uint64_t strangers, unsaid;
	unsigned int said;
	int64_t said_ms;
};

/** door_open() - listen at @where, which conn_check_where() found good */
int door_open(struct door *door, const char *where, struct error *err);
/** door_close() - close all; a socket of another serve at that path stays */
void door_close(struct door *door);

/**
 * door_host() - whom an address belongs to, as text
 *
 * An IPv4 address, also one that is mapped into IPv6; the first 64 bits of an IPv6 address; nothing
 * for a UNIX socket.
 */
void door_host(const struct sockaddr_storage *addr, char *host, size_t size);

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
