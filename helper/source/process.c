// SPDX-License-Identifier: GPL-2.0
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "source/process.h"

bool source_process_has_exited(const struct proc_status *status)
{
	return status->state == 'X' || (status->state == 'Z' && status->threads <= 1);
}

#define FILES_NS	200000000UL	/* two looks at hundreds of processes follow each other as fast */
#define AUXV_MAX	64	/* the kernel has 28 at most */

static int open_file(pid_t pid, const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static uint64_t find_mark(pid_t pid)
{
	int fd = open_file(pid, "auxv");
	Elf64_auxv_t aux[AUXV_MAX];
	ssize_t bytes = fd < 0 ? 0 : read(fd, aux, sizeof(aux));

	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < bytes / (ssize_t)sizeof(*aux); i++)
		if (aux[i].a_type == AT_RANDOM)
			return aux[i].a_un.a_val;
	return 0;
}

static void mark_read(struct space_mark *mark, pid_t pid)
{
	uint64_t at = find_mark(pid);
	int fd = at ? open_file(pid, "mem") : -1;

	if (fd < 0)
		return;
	if (pread(fd, mark->bytes, sizeof(mark->bytes), at) == sizeof(mark->bytes))
		mark->at = at;
	close(fd);
}

bool source_process_called_exec(const struct source_process *process)
{
	const struct space_mark *mark = &process->mark;
	int fd = mark->at ? open_file(process->pid, "mem") : -1;
	uint8_t now[SPACE_MARK_BYTES];
	bool same;

	/* that this process has no descriptor left says nothing of the other one */
	if (fd < 0)
		return false;
	/* the address is a random one too: most new address spaces have nothing there */
	same = pread(fd, now, sizeof(now), mark->at) == sizeof(now) &&
	       !memcmp(now, mark->bytes, sizeof(now));
	close(fd);
	return !same;
}

int source_process_init(struct source_process *process, pid_t pid, struct error *err)
{
	memset(process, 0, sizeof(*process));
	process->pid = pid;
	mark_read(&process->mark, pid);
	source_mm_init(&process->mm, 0, pid);
	return proc_status_read(pid, &process->status, err);
}

const struct vma_list *source_process_held(struct source_process *process, struct error *err)
{
	if (!process->held.nr && maps_read(process->pid, false, &process->held, err))
		return NULL;
	return &process->held;
}

const struct proc_files *source_process_held_files(struct source_process *process, struct error *err)
{
	if (!process->files_held && proc_files_read(process->pid, &process->held_files, err))
		return NULL;
	process->files_held = true;
	return &process->held_files;
}

void source_process_read_files(struct source_process *process)
{
	source_process_forget_files(process);
	process->files_ns = clock_now_ns();
	process->files_read = !proc_files_read(process->pid, &process->files, &(struct error){ 0 });
}

void source_process_read_files_if_old(struct source_process *process)
{
	if (!process->files_read || clock_now_ns() - process->files_ns > FILES_NS)
		source_process_read_files(process);
}

const struct proc_files *source_process_files(const struct source_process *process, struct proc_files *own,
					      struct error *err)
{
	memset(own, 0, sizeof(*own));
	if (process->files_read)
		return &process->files;
	return proc_files_read(process->pid, own, err) ? NULL : own;
}

void source_process_forget_files(struct source_process *process)
{
	proc_files_free(&process->files);
	process->files_read = false;
}

int source_process_hold(struct source_process *process, struct error *err)
{
	return source_process_held(process, err) && source_process_held_files(process, err) ? 0 : -1;
}

void source_process_forget_held(struct source_process *process)
{
	maps_free(&process->held);
	proc_files_free(&process->held_files);
	process->files_held = false;
}

void source_process_forget_attributes(struct source_process *process)
{
	source_attributes_free(&process->attributes);
	process->attributes_read = false;
}

void source_process_destroy(struct source_process *process)
{
	inherit_destroy(&process->inherit);
	source_mm_destroy(&process->mm);
	criu_task_free(&process->task);
	source_process_forget_held(process);
	source_process_forget_files(process);
	source_process_forget_attributes(process);
	reconnects_free(&process->attached.reconnects);
	terminals_free(&process->attached.terminals);
	renamed_free(&process->attached.renamed);
}
