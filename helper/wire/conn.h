/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_WIRE_CONN_H
#define MIGRATE_WIRE_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ui/error.h"

#define CONN_DEFAULT_PORT	"7070"
#define CONN_ID_BYTES		16
#define CONN_LOST_MS		5000	/* silence after which a link is lost */

/** enum conn_kind - what a connection is for; values are on the wire */
enum conn_kind {
	CONN_CONTROL = 1,
	CONN_MEMORY = 2,
	CONN_URGENT = 3,
};

/**
 * struct conn_preamble - first 32 bytes of each connection, little-endian
 * @id: random id of the migration, ties its connections together
 */
struct conn_preamble {
	uint32_t magic;		/* CONN_MAGIC */
	uint16_t version;	/* 1 */
	uint8_t kind;		/* enum conn_kind */
	uint8_t index;		/* of several memory streams; 0 now */
	uint8_t id[CONN_ID_BYTES];
	uint8_t pad[8];		/* 0 */
};

#define CONN_MAGIC	0x434d5653	/* "SVMC" */

/** conn_check_where() - 0, or -1 with err when @where is not written as an address; looks up nothing */
int conn_check_where(const char *where, struct error *err);

/** conn_host_is_loopback() - all addresses of "HOST[:PORT]" are loopback; false for the wildcard */
bool conn_host_is_loopback(const char *where);

/** conn_listen() - "HOST:PORT", "[v6]:PORT", ":PORT" or "HOST"; returns a listening fd or -1 */
int conn_listen(const char *where, struct error *err);

/** conn_accept() - accept and read the preamble within @timeout_ms; garbage is closed: -1 with err */
int conn_accept(int listen_fd, int timeout_ms, struct conn_preamble *pre,
		char *peer, size_t peer_size, struct error *err);

/** conn_connect() - connect and send the preamble; returns the fd or -1 */
int conn_connect(const char *where, enum conn_kind kind, const uint8_t *id, struct error *err);

/** conn_write(), conn_read() - all of it, or -1; @timeout_ms of silence is "link lost" (0: CONN_LOST_MS, -1: none) */
int conn_write(int fd, const void *buf, size_t bytes, int timeout_ms, struct error *err);
int conn_read(int fd, void *buf, size_t bytes, int timeout_ms, struct error *err);

#endif
