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
#define CONN_LOST_MS		5000	/* default silence after which a link counts as lost */
#define STREAMS_MAX		16	/* most memory connections of a migration */

/** enum conn_kind - purpose of a connection; the values are on the wire */
enum conn_kind {
	CONN_CONTROL = 1,
	CONN_MEMORY = 2,
	CONN_URGENT = 3,
};

/**
 * struct conn - one connection of a migration
 * @fd: a blocking stream socket, which the struct owns; -1: not connected
 * @tcp: owned too, when @fd leads to the process that makes this connection's TLS (wire/tls_link.h): the TCP socket
 *	of that process, to look at and never to read or write; else 0
 * @note: owned too, with @tcp: where that process says why it ends the connection; else 0
 * @in_kernel: @fd is a TCP socket whose TLS the kernel makes (wire/ktls.h)
 * @index, @streams: a memory connection is stream @index of @streams, from 0 on; 0: there is one. On control @streams
 *	alone, where the source is called
 *
 * Any thread may call conn_shutdown() while the connection is open; one thread reads and one
 * writes. Only the owner closes it, after those threads have ended.
 */
struct conn {
	int fd, tcp, note;
	enum conn_kind kind;
	bool in_kernel;
	uint8_t index, streams;
};

#define CONN_NONE	((struct conn){ .fd = -1 })

static inline bool conn_is_open(const struct conn *conn)
{
	return conn->fd >= 0;
}

/** conn_link_fd() - the socket that leads to the other machine: what the kernel knows of the link is asked of it */
static inline int conn_link_fd(const struct conn *conn)
{
	return conn->tcp > 0 ? conn->tcp : conn->fd;
}

/** conn_shutdown() - end all traffic, so that threads blocked in the connection return */
void conn_shutdown(const struct conn *conn);
void conn_close(struct conn *conn);
/** conn_drop() - close the descriptors of a connection that another process goes on with */
void conn_drop(struct conn *conn);

/**
 * struct conn_preamble - first 32 bytes of each connection, little-endian
 * @id: random id of the migration, the same for all of its connections
 */
struct conn_preamble {
	uint32_t magic;		/* CONN_MAGIC */
	uint16_t version;	/* 1 */
	uint8_t kind;		/* enum conn_kind */
	uint8_t index;		/* number of the memory stream */
	uint8_t id[CONN_ID_BYTES];
	uint8_t streams;	/* how many memory streams there are; 0: one */
	uint8_t pad[7];		/* 0 */
};

#define CONN_MAGIC	0x434d5653	/* "SVMC" */

/**
 * conn_check_where() - check the form of an address; no DNS query. 0, or -1 with CODE_USAGE
 * @insecure: the user accepts TCP without encryption. A loopback address needs @insecure too, since
 *	any local user can connect; a UNIX socket does not
 */
int conn_check_where(const char *where, bool insecure, struct error *err);

/** conn_listen() - on "unix:PATH", "HOST:PORT", "[v6]:PORT", ":PORT" or "HOST"; the fd or -1 */
int conn_listen(const char *where, struct error *err);

/** conn_tune() - set TCP_NODELAY and keepalive on a socket; both ends call it */
void conn_tune(int fd);

/**
 * conn_be_patient() - conn_tune() for a connection whose end cannot be mended
 *
 * While nothing is said, the other machine may be silent for two minutes, in place of five seconds.
 */
void conn_be_patient(int fd);

/**
 * conn_tune_watched() - conn_tune() for a migration, whose control connection finds that a link is lost (liveness.h)
 *
 * Whatever was not acknowledged is sent again once a second at least, so that the link works soon after a cut. The kernel
 * gives such a connection up after 10 seconds or more: later than liveness.h, so that a cut, or a queue of some seconds in
 * the link, does not end the idle connections of a migration first.
 */
void conn_tune_watched(int fd);

/** conn_silent_ms() - time since the last bytes of the other end of a TCP connection; 0 while some are unread here */
int64_t conn_silent_ms(int fd);

/** conn_address_text() - an address as text, "10.0.0.1:7070"; no DNS query */
void conn_address_text(const struct sockaddr_storage *addr, socklen_t len, char *name, size_t size);

/** conn_check_preamble() - check @pre and turn it to host byte order, with 1 for no streams; -1 with CODE_PEER */
int conn_check_preamble(struct conn_preamble *pre, struct error *err);

/** conn_is_other_version() - @pre, which conn_check_preamble() has refused, is one of another version: it can be told */
bool conn_is_other_version(const struct conn_preamble *pre);

/** conn_where() - @where of @size bytes: the form in which the other functions take @host, a name or address, and @port */
void conn_where(const char *host, unsigned long port, char *where, size_t size);

/** conn_dial() - connect, and say nothing; the fd or -1 */
int conn_dial(const char *where, struct error *err);

/** conn_host() - the name or address in @where, which is no UNIX socket, without its port */
int conn_host(const char *where, char *host, size_t size, struct error *err);

/** conn_write_preamble() - that of @conn's kind and number, alone; also to say this version to an end that speaks another one */
int conn_write_preamble(const struct conn *conn, const uint8_t *id, struct error *err);
/** conn_stream() - not open: memory stream @index of @streams */
static inline struct conn conn_stream(unsigned int index, unsigned int streams)
{
	return (struct conn){ .fd = -1, .kind = CONN_MEMORY, .index = index, .streams = streams };
}

/** conn_introduce() - send the preamble on an open connection; 0, or -1 and @conn is closed */
int conn_introduce(struct conn *conn, const uint8_t *id, struct error *err);

/**
 * conn_write(), conn_read() - transfer all @bytes; 0 or -1
 * @timeout_ms: fail with "link lost" after so much silence; 0: no time-out. The calls wait for a
 *	slow peer: control's thread, which sees that a link is lost (wire/liveness.h), shuts the
 *	socket down
 */
int conn_write(const struct conn *conn, const void *buf, size_t bytes, int timeout_ms,
	       struct error *err);
int conn_read(const struct conn *conn, void *buf, size_t bytes, int timeout_ms,
	      struct error *err);

/**
 * conn_read_some() - read the bytes that have arrived, at most @bytes
 * @timeout_ms: for the first byte; -1: no time-out
 * Return: number of bytes; 0: the other side has closed the connection; -1 with @err
 */
ssize_t conn_read_some(const struct conn *conn, void *buf, size_t bytes, int timeout_ms,
		       struct error *err);

/**
 * conn_lost() - an error for a connection that has ended
 * @what: unless the process that makes its TLS knows better
 * Return: -1
 */
int conn_lost(const struct conn *conn, const char *what, struct error *err);

/** conn_read_now() - read what is there, at most @bytes. Return: number of bytes, 0: closed, or -1 with errno */
ssize_t conn_read_now(const struct conn *conn, void *buf, size_t bytes);

/** conn_write_now() - write what fits without waiting. Return: number of bytes, or -1 with errno */
ssize_t conn_write_now(const struct conn *conn, const void *buf, size_t bytes);

#endif
