// SPDX-License-Identifier: GPL-2.0
#include "source/process.h"

int process_read(struct process *process, pid_t pid, struct error *err)
{
	process->pid = pid;
	return proc_status_read(pid, &process->status, err);
}
