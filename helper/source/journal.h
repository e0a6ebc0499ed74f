/* SPDX-License-Identifier: GPL-2.0 */
/* The stream protocol of systemd's journal: a header of seven lines, then the program's lines. */
#ifndef MIGRATE_SOURCE_JOURNAL_H
#define MIGRATE_SOURCE_JOURNAL_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "os/journal.h"

/**
 * struct journal_stream - what the header says
 * @identifier: as SyslogIdentifier= of a unit
 * @unit: name of the unit, or ""
 * @priority: of lines that name none themselves
 * @level_prefix: a line may begin with its priority, as "<3>"
 * @syslog, @kmsg, @console: where the journal passes the lines on to
 */
struct journal_stream {
	char identifier[128], unit[256];
	unsigned int priority, level_prefix, syslog, kmsg, console;
};

/**
 * journal_state_read() - take what the journal's own state file of a stream says
 * @stream: what the file does not say stays as it is
 */
void journal_state_read(FILE *file, struct journal_stream *stream);

/**
 * journal_header() - the header that descriptor @fd of @pid must have begun with
 * @peer: inode of the journal's end of the connection
 *
 * The journal's state file tells it; without a state file the header is the one that systemd sends for a unit without
 * options. Return: to be freed; NULL: no memory
 */
char *journal_header(pid_t pid, int fd, uint32_t peer);

#endif
