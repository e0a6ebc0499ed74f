/* SPDX-License-Identifier: GPL-2.0 */
/* The stream protocol of systemd's journal: a header of seven lines, then the program's lines. */
#ifndef MIGRATE_SOURCE_JOURNAL_H
#define MIGRATE_SOURCE_JOURNAL_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "os/journal.h"

/**
 * struct journal_stream - the fields of the header
 * @identifier: as SyslogIdentifier= of a unit
 * @unit: name of the unit, or ""
 * @priority: priority of a line without a prefix
 * @level_prefix: a line may begin with its priority, as "<3>"
 * @syslog, @kmsg, @console: the journal forwards each line to syslog, the kernel's log, the console
 */
struct journal_stream {
	char identifier[128], unit[256];
	unsigned int priority, level_prefix, syslog, kmsg, console;
};

/**
 * journal_state_read() - read the state file that the journal keeps of a stream
 * @stream: filled; a field that the file lacks stays as it is
 */
void journal_state_read(FILE *file, struct journal_stream *stream);

/**
 * journal_header() - the header with which the program opened the stream at descriptor @fd of @pid
 * @peer: inode of the journal's end of the connection
 *
 * The header comes from the journal's state file. Without a state file the header is the one that
 * systemd sends for a unit without options. Return: free() it; NULL: no memory
 */
char *journal_header(pid_t pid, int fd, uint32_t peer);

#endif
