/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The log of a CRIU.
 *
 * CRIU writes its log as the program too: by its parasite in a dump, by its restorer after the
 * limits of the program are set. A write beyond RLIMIT_FSIZE kills the program with SIGXFSZ. So
 * CRIU is given a FIFO, to which no such limit applies, and a process of ours copies from the
 * FIFO to the file. The process outlives its helper, so that CRIU never waits for a reader.
 */
#ifndef MIGRATE_CRIU_LOG_H
#define MIGRATE_CRIU_LOG_H

#include <limits.h>
#include <sys/types.h>
#include "base/error.h"

#define CRIU_LOG_TIMEOUT_MS	2000	/* a CRIU that said its last word ends within this */

/**
 * struct criu_log - a log that is being written
 * @pid: the process that copies; 0 when there is none
 * @hold: both ends of the FIFO; the copying goes on as long as it, or CRIU's end, is open
 * @fifo: name for CRIU's option, in the work directory
 * @path: of the log that a person reads
 */
struct criu_log {
	pid_t pid;
	int hold;
	char fifo[32];
	char path[PATH_MAX];
};

/**
 * criu_log_open() - make the FIFO and start the copying
 * @name: of the log in @work_dir_fd, as "dump.log"
 */
int criu_log_open(struct criu_log *log, int work_dir_fd, const char *name, struct error *err);

/**
 * criu_log_revive() - start the copying again when the process that copies was killed
 *
 * CRIU, or its code in the program, would wait for a reader for ever; without @hold it would get
 * SIGPIPE, which stays pending for the program.
 */
void criu_log_revive(struct criu_log *log);

/**
 * criu_log_close() - end the copying: the file is complete when CRIU has ended
 * @timeout_ms: how long to wait for the end of CRIU. The copying goes on afterwards, until CRIU
 *	has ended
 *
 * A second call does nothing.
 */
void criu_log_close(struct criu_log *log, int timeout_ms);

#endif
