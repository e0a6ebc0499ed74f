/* SPDX-License-Identifier: GPL-2.0 */
/* One process of the program that moves: its threads are its own, its memory is its mm's. */
#ifndef MIGRATE_SOURCE_PROCESS_H
#define MIGRATE_SOURCE_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>
#include "os/proc.h"

/**
 * struct process - one process
 * @pid: here
 * @status: as /proc told it in SETUP. Its start time is part of the process's name, since a pid is
 *	used again
 */
struct process {
	pid_t pid;
	struct proc_status status;
};

/** process_read() - @pid as it is now */
int process_read(struct process *process, pid_t pid, struct error *err);

#endif
