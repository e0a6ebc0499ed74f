/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_JOURNAL_H
#define MIGRATE_DEST_JOURNAL_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "wire/control.h"

/**
 * journal_streams_begin() - send the journal the header of each stream that CRIU connected anew
 * @pid: of the restored process, which stands: its first line must not come before
 * Return: -1 with @err: CODE_PEER when the source named a descriptor that is no such stream; nothing
 *	was written to it
 */
int journal_streams_begin(const Migrate__Process *said, pid_t pid, struct error *err);

/** journal_is_stream() - @fd is a stream socket connected to the unix socket at @path */
bool journal_is_stream(int fd, const char *path);

#endif
