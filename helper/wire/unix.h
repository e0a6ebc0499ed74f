/* SPDX-License-Identifier: GPL-2.0 */
/*
 * UNIX sockets as addresses: "unix:PATH". Who may connect is decided by the file's mode.
 */
#ifndef MIGRATE_WIRE_UNIX_H
#define MIGRATE_WIRE_UNIX_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"

#define UNIX_PREFIX	"unix:"

/** unix_path() - the path in @where, or NULL when it is another kind of address */
const char *unix_path(const char *where);

/** unix_check() - 0, or -1 and CODE_USAGE when @path cannot be that of a socket */
int unix_check(const char *path, struct error *err);

/**
 * unix_listen() - a listening socket of mode 0600; the directory is made, with mode 0700
 *
 * A socket of ours that is there, and on which nobody listens any more, is replaced. Nothing
 * else is. Return: the descriptor or -1
 */
int unix_listen(const char *path, struct error *err);

/** unix_connect() - the descriptor or -1 */
int unix_connect(const char *path, struct error *err);

/** struct unix_file - which file it is that was bound at a path */
struct unix_file {
	dev_t dev;
	ino_t ino;
};

/** unix_note() - remember the file at @path, right after unix_listen() */
int unix_note(const char *path, struct unix_file *file, struct error *err);
/** unix_remove() - remove @path, if it still is that file */
void unix_remove(const char *path, const struct unix_file *file);

#endif
