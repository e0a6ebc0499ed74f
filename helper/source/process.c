// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "source/process.h"

bool source_process_has_exited(const struct proc_status *status)
{
	return status->state == 'X' || (status->state == 'Z' && status->threads <= 1);
}

int source_process_init(struct source_process *process, pid_t pid, uint32_t object,
			struct error *err)
{
	memset(process, 0, sizeof(*process));
	process->pid = pid;
	return source_mm_init(&process->mm, object, pid, err) ||
	       proc_status_read(pid, &process->status, err) ? -1 : 0;
}

void source_process_destroy(struct source_process *process)
{
	inherit_destroy(&process->inherit);
	source_mm_destroy(&process->mm);
	criu_task_free(&process->task);
	reconnects_free(&process->attached.reconnects);
	terminals_free(&process->attached.terminals);
	renamed_free(&process->attached.renamed);
}
