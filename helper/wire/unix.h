/* SPDX-License-Identifier: GPL-2.0 */
/* UNIX sockets as addresses: "unix:PATH". The mode of the file decides which users may connect. */
#ifndef MIGRATE_WIRE_UNIX_H
#define MIGRATE_WIRE_UNIX_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"

#define UNIX_PREFIX	"unix:"

/** unix_path() - the path in @where, or NULL when @where is another kind of address */
const char *unix_path(const char *where);

/** unix_check() - 0, or -1 with CODE_USAGE when no socket can have this @path */
int unix_check(const char *path, struct error *err);

/**
 * unix_listen() - make a listening socket of mode 0600, and its directory with mode 0700
 *
 * The function replaces this user's socket without a server at @path, and nothing else.
 * Return: the descriptor or -1
 */
int unix_listen(const char *path, struct error *err);

/** unix_connect() - the descriptor or -1 */
int unix_connect(const char *path, struct error *err);

/** struct unix_file - identity of the socket file at a path */
struct unix_file {
	dev_t dev;
	ino_t ino;
};

/** unix_note() - fill @file with the identity of @path; called right after unix_listen() */
int unix_note(const char *path, struct unix_file *file, struct error *err);
/** unix_remove() - remove @path, if it is still the file of unix_note() */
void unix_remove(const char *path, const struct unix_file *file);

#endif
