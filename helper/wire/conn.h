/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_WIRE_CONN_H
#define MIGRATE_WIRE_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/error.h"

#define CONN_DEFAULT_PORT	"7070"
#define CONN_ID_BYTES		16
#define CONN_LOST_MS		5000	/* after so much silence a link is lost, when nobody hurries */

/** enum conn_kind - what a connection is for; values are on the wire */
enum conn_kind {
	CONN_CONTROL = 1,
	CONN_MEMORY = 2,
	CONN_URGENT = 3,
};

/**
 * struct conn - one connection of a migration
 * @fd: a blocking stream socket, owned; -1: there is none
 *
 * Any thread may call conn_shutdown() while the connection is open; one thread reads and one
 * writes. Only the owner closes it, after those threads have ended.
 */
struct conn {
	int fd;
	enum conn_kind kind;
};

#define CONN_NONE	((struct conn){ .fd = -1 })

static inline bool conn_is_open(const struct conn *conn)
{
	return conn->fd >= 0;
}

/** conn_shutdown() - threads that wait for the connection come back; nothing goes over it any more */
void conn_shutdown(const struct conn *conn);
void conn_close(struct conn *conn);

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

/**
 * conn_check_where() - 0, or -1 with CODE_USAGE; looks up nothing
 * @insecure: the user takes TCP without encryption, which on loopback too any local user could
 *	speak to. A UNIX socket needs no such word
 */
int conn_check_where(const char *where, bool insecure, struct error *err);

/** conn_listen() - "unix:PATH", "HOST:PORT", "[v6]:PORT", ":PORT" or "HOST"; the fd or -1 */
int conn_listen(const char *where, struct error *err);

/** conn_tune() - small messages must not wait, and a dead idle link is noticed; both ends */
void conn_tune(int fd);

/** conn_address_text() - an address for people, as "10.0.0.1:7070"; looks up nothing */
void conn_address_text(const struct sockaddr_storage *addr, socklen_t len, char *name, size_t size);

/** conn_check_preamble() - to the byte order here; -1 with CODE_PEER when it is wrong */
int conn_check_preamble(struct conn_preamble *pre, struct error *err);

/** conn_connect() - connect and send the preamble; 0 or -1 */
int conn_connect(struct conn *conn, const char *where, enum conn_kind kind, const uint8_t *id,
		 struct error *err);

/**
 * conn_write(), conn_read() - all of it, or -1
 * @timeout_ms: so much silence is "link lost"; 0: as long as it takes. A peer that is slow is
 *	waited for: whoever finds the link lost (wire/liveness.h) shuts the socket down
 */
int conn_write(const struct conn *conn, const void *buf, size_t bytes, int timeout_ms,
	       struct error *err);
int conn_read(const struct conn *conn, void *buf, size_t bytes, int timeout_ms,
	      struct error *err);

/**
 * conn_read_some() - what is there, at most @bytes
 * @timeout_ms: for the first byte; -1: as long as it takes
 * Return: bytes; 0: the other side has closed it; -1
 */
ssize_t conn_read_some(const struct conn *conn, void *buf, size_t bytes, int timeout_ms,
		       struct error *err);

/** conn_write_now() - what the socket takes without waiting. Return: bytes; -1 with errno */
ssize_t conn_write_now(const struct conn *conn, const void *buf, size_t bytes);

#endif
