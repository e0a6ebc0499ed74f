/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The log of a CRIU.
 *
 * The program itself writes to CRIU's log: CRIU's parasite does in a dump, and CRIU's restorer
 * after it has set the program's limits. A write beyond RLIMIT_FSIZE would kill the program with
 * SIGXFSZ. So CRIU gets a FIFO, to which no such limit applies, and a process of the helper copies
 * from the FIFO to the file. The process outlives the helper, so that CRIU never waits for a
 * reader.
 */
#ifndef MIGRATE_CRIU_LOG_H
#define MIGRATE_CRIU_LOG_H

#include <limits.h>
#include <sys/types.h>
#include "base/error.h"

#define CRIU_LOG_TIMEOUT_MS	2000	/* time for a CRIU to end after its last message */

/**
 * struct criu_log - the log of a running CRIU
 * @pid: the process that copies; 0: none
 * @hold: both ends of the FIFO; the process copies as long as this or CRIU's end is open
 * @fifo: name of the FIFO in the work directory, for CRIU's option
 * @path: path of the log file
 */
struct criu_log {
	pid_t pid;
	int hold;
	char fifo[32];
	char path[PATH_MAX];
};

/**
 * criu_log_open() - make the FIFO and start the process that copies
 * @name: name of the log in @work_dir_fd, as "dump.log"
 */
int criu_log_open(struct criu_log *log, int work_dir_fd, const char *name, struct error *err);

/**
 * criu_log_revive() - start another process when the one that copies was killed
 *
 * Without a reader CRIU, or its code in the program, would wait for ever. Without @hold it would
 * get SIGPIPE, which stays pending for the program.
 */
void criu_log_revive(struct criu_log *log);

/**
 * criu_log_close() - close @hold, and wait for CRIU's end, when the file is complete
 * @timeout_ms: longest wait. The process copies on afterwards until CRIU has ended
 *
 * A second call does nothing.
 */
void criu_log_close(struct criu_log *log, int timeout_ms);

#endif
