/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Unix sockets that are connected to a server of this machine, as the journal. The destination's
 * CRIU connects each anew to the server with the same name there.
 */
#ifndef MIGRATE_SOURCE_RECONNECT_H
#define MIGRATE_SOURCE_RECONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "os/unix_diag.h"
#include "wire/control.h"

#define RECONNECT_NAME_BYTES	112	/* a sun_path, its final 0, and more */
#define RECONNECTS_MAX		1024

/**
 * struct reconnect - one socket of the program
 * @ino, @fd: the socket, and a descriptor of it
 * @peer: inode of the server's end
 * @type: SOCK_*
 * @name: the server's path; "@NAME" is an abstract one
 */
struct reconnect {
	uint32_t ino, peer;
	int fd, type;
	char name[RECONNECT_NAME_BYTES];
};

/** struct reconnects - all of them. Zeroed is empty */
struct reconnects {
	struct reconnect *items;
	size_t nr;
};

/** reconnects_add() - -1 with @err: no memory, or too many */
int reconnects_add(struct reconnects *all, const struct reconnect *item, struct error *err);
void reconnects_free(struct reconnects *all);

/**
 * reconnect_name() - the name by which another process can connect to @server
 *
 * Return: false when there is none: the path is relative, or names no socket or another one now
 */
bool reconnect_name(const struct unix_sock *server, char name[RECONNECT_NAME_BYTES]);
/** reconnect_is_log() - the journal or the system's log */
bool reconnect_is_log(const char *name);

/** struct reconnect_message - the servers, for Setup, or the streams of the journal, for RestoreGo */
struct reconnect_message {
	Migrate__UnixServer *servers, **server_list;
	Migrate__JournalStream *streams, **stream_list;
	size_t nr_servers, nr_streams;
};

/** reconnects_servers() - fill the servers; free with reconnect_message_free() also on failure */
int reconnects_servers(const struct reconnects *all, struct reconnect_message *msg,
		       struct error *err);

/** struct sockets - inodes of sockets. Zeroed is empty */
struct sockets {
	uint32_t *inos;
	size_t nr;
};

/**
 * reconnects_streams() - the streams of the journal, each with what the journal is to read first
 * @begun: the streams that messages of other processes have, and afterwards those of @msg too. Processes
 *	share a socket that they have inherited: to the journal a second header is a line of the program
 */
int reconnects_streams(const struct reconnects *all, pid_t pid, struct sockets *begun,
		       struct reconnect_message *msg, struct error *err);
void reconnect_message_free(struct reconnect_message *msg);

#endif
