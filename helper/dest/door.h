/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The door accepts connections, has TLS handshakes made, and reads preambles. The door waits for no caller, so that one
 * that sends nothing or garbage keeps no other out.
 */
#ifndef MIGRATE_DEST_DOOR_H
#define MIGRATE_DEST_DOOR_H

#include <poll.h>
#include "base/error.h"
#include "wire/conn.h"
#include "wire/listener.h"
#include "wire/tls_link.h"
#include "wire/unix.h"

#define DOOR_CALLERS	64	/* most callers at the door at a time */
#define DOOR_HANDSHAKES	16	/* most of them in a TLS handshake, each of which is a process; half of one address */

/**
 * enum caller_stage - how far a caller is
 * @CALLER_SPEAKS: its preamble is coming, or all there
 * @CALLER_IS_SILENT: it has not begun its TLS handshake
 * @CALLER_WAITS: it has, and waits for a place among the handshakes
 * @CALLER_SHAKES: it is in its TLS handshake
 * @CALLER_IS_TOLD: it speaks another version, and was told so
 */
enum caller_stage { CALLER_SPEAKS, CALLER_IS_SILENT, CALLER_WAITS, CALLER_SHAKES, CALLER_IS_TOLD };

/**
 * struct caller - a connection in its handshake, or whose preamble is coming, or that waits for its migration
 * @conn: not open: this entry is free
 * @link: the handshake
 * @name: whom its TLS has proved, or empty; @words: what --allow says behind it
 * @got: bytes of the preamble received so far
 * @deadline_ms: time at which the door closes the connection
 * @host: the caller's address, as from door_host()
 */
struct caller {
	struct conn conn;
	enum caller_stage stage;
	struct tls_link link;
	char name[TLS_NAME_BYTES], words[TLS_RULE_BYTES];
	size_t got;
	int64_t deadline_ms;
	struct conn_preamble preamble;
	char peer[64], host[64];
};

/**
 * struct door - a listening socket and its callers
 * @listener: the socket
 * @keys: for TLS, or none; not owned
 * @handshakes: number of handshakes that may start now; grows with time since @handshakes_ms
 * @path: path of a UNIX socket, or empty
 * @file: identity of the file bound at @path
 * @strangers: number of callers turned away
 * @said: recent lines of the log about strangers, counted down with time
 * @said_ms: time of the last count-down
 * @unsaid: strangers without a line
 */
struct door {
	struct listener listener;
	const struct tls_keys *keys;
	unsigned int handshakes;
	int64_t handshakes_ms;
	char path[128];
	struct unix_file file;
	struct caller callers[DOOR_CALLERS];
	uint64_t strangers, unsaid;
	unsigned int said;
	int64_t said_ms;
};

/** door_open() - listen at @where, which conn_check_where() has accepted; with TLS unless @keys say none */
int door_open(struct door *door, const char *where, const struct tls_keys *keys, struct error *err);
/**
 * door_take() - take over a listening socket that another program has opened, and that goes on after this door
 * @keys: filled, as @opts say for its address
 */
int door_take(struct door *door, int fd, struct tls_keys *keys, const struct tls_options *opts, struct error *err);
/**
 * door_give() - no listening socket, but the @nr connections @conns, which may be silent for as long as they like
 * @keys: for TLS that the other end begins, or none
 */
void door_give(struct door *door, const struct conn *conns, size_t nr, const struct tls_keys *keys);
/** door_nr_callers() - how many there are */
size_t door_nr_callers(const struct door *door);
/** door_close() - close all descriptors, and remove the UNIX socket if it is still this door's */
void door_close(struct door *door);

/**
 * door_host() - the part of an address that identifies its owner, as text
 *
 * This is an IPv4 address, also when mapped into IPv6; a whole link-local IPv6 address; the first 64 bits of another IPv6
 * address; and an empty text for a UNIX socket.
 */
void door_host(const struct sockaddr_storage *addr, char *host, size_t size);

/** door_poll() - fill @fds (1 + DOOR_CALLERS entries); -1 in entries without a descriptor */
void door_poll(const struct door *door, struct pollfd *fds);

/**
 * door_step() - accept and read as @fds say, and close callers after their deadline
 *
 * A caller with got == sizeof(preamble) has a valid preamble then. The user of the door takes its connection and
 * calls conn_drop(), or leaves the caller until its deadline.
 */
void door_step(struct door *door, const struct pollfd *fds);

/** door_callers_of() - number of callers from @host */
size_t door_callers_of(const struct door *door, const char *host);

/** door_turn_away() - close, log and count a caller */
void door_turn_away(struct door *door, struct caller *caller, const char *why);

#endif
