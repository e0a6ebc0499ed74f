/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The connections of a migration for which the source waits (migrate --listen), in place of making them. The destination (serve
 * --from) connects: control first, with a preamble without id, which the source answers with one that has it; then the others,
 * whose preambles have the id. Any other caller is turned away, and said.
 */
#ifndef MIGRATE_SOURCE_AWAITED_H
#define MIGRATE_SOURCE_AWAITED_H

#include "wire/conn.h"
#include "wire/tls_link.h"
#include "wire/unix.h"

/**
 * struct awaited - @fd: listens; -1: not any more; @path, @file: of a UNIX socket
 * @keys: for TLS, or none; not owned
 * @streams: memory streams that the destination is to make
 * @peer: whom the TLS of the control connection has proved: the others must be the same one's
 * @said: lines about strangers, of which there is one a second once there were many; the last one at @said_ms
 */
struct awaited {
	int fd;
	const struct tls_keys *keys;
	unsigned int streams;
	struct tls_peer peer;
	unsigned int said;
	int64_t said_ms;
	const char *path;
	struct unix_file file;
};

int awaited_open(struct awaited *awaited, const char *where, const struct tls_keys *keys, struct error *err);
/** awaited_control() - the next caller that wants a program, for however long it takes; -1 with @err: nobody can call */
int awaited_control(struct awaited *awaited, struct conn *conn, const uint8_t *id, struct error *err);
/** awaited_turn_away() - the caller did not speak on as it should; takes a moment, which those that call again and again have to wait too */
void awaited_turn_away(struct awaited *awaited, const struct error *why);
/** awaited_others() - the other connections of the same caller, which has some seconds; @memory: as many as @streams */
int awaited_others(struct awaited *awaited, struct conn *memory, struct conn *urgent, const uint8_t *id,
		   struct error *err);
void awaited_close(struct awaited *awaited);

#endif
