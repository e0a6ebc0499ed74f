/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The accepting process, as the process of one migration sees it: messages over a socket pair, of which
 * dest/migrations.c has the other end.
 */
#ifndef MIGRATE_DEST_PARENT_H
#define MIGRATE_DEST_PARENT_H

#include <stdbool.h>
#include "wire/conn.h"

/**
 * struct parent_msg - from a migration's process to the accepting one
 * @ended: the migration has ended with @code; else: COMMIT came, so a death from here on leaves doubt
 * @detached: the migration has no place any more, and goes on alone
 */
struct parent_msg {
	bool ended, detached;
	int code;
};

/** struct parent_conn - the other way, with the descriptors of a connection of this migration: its fd, and its tcp and note if it has them */
struct parent_conn {
	enum conn_kind kind;
	uint8_t index, streams;
	bool in_kernel;
};

/**
 * parent_pass_conn() - the accepting process's side of parent_next_conn(), which never waits
 * Return: 0, or -1 with errno. @conn stays open here
 */
int parent_pass_conn(int sock, const struct conn *conn);

/** parent_say_committed() - the program may run here from now on */
void parent_say_committed(int sock);
/** parent_say_ended() - the outcome is known, though this process goes on */
void parent_say_ended(int sock, int code, bool detached);

/**
 * parent_next_conn() - a connection that the accepting process took for this migration
 * Return: 1; 0 when none came within @timeout_ms; -1 with CODE_ABORTED
 */
int parent_next_conn(int sock, int timeout_ms, struct conn *conn, struct error *err);

#endif
