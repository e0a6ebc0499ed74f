/* SPDX-License-Identifier: GPL-2.0 */
/* One process of the program that moves: a thread group and its address space. */
#ifndef MIGRATE_SOURCE_PROCESS_H
#define MIGRATE_SOURCE_PROCESS_H

#include <sys/types.h>
#include "criu/criu.h"
#include "os/maps.h"
#include "os/proc.h"
#include "os/proc_files.h"
#include "source/attached.h"
#include "source/attributes.h"
#include "source/inherit.h"
#include "source/mm.h"

#define SPACE_MARK_BYTES	16

/**
 * struct space_mark - by which an address space is known
 * @at: address of the bytes that the kernel wrote in exec for the program to be used as a seed (AT_RANDOM);
 *	0: they cannot be read
 * @bytes: what was there
 */
struct space_mark {
	uint64_t at;
	uint8_t bytes[SPACE_MARK_BYTES];
};

/**
 * struct source_process - one process
 * @pid: here
 * @status: as /proc told it in SETUP. Its start time is part of the process's name, since a pid is
 *	used again
 * @mark: of the address space
 * @task: as CRIU's images tell it; empty before the freeze
 * @held: its mappings as /proc tells them while CRIU holds it; use source_process_held()
 * @held_files: its descriptors, likewise; use source_process_held_files()
 * @files_held: they were read
 * @files: its descriptors, read ahead for the looks that follow; use source_process_files()
 * @files_read: they were read, at @files_ns
 * @attributes: that CRIU does not carry, read ahead, if they were: @attributes_read
 * @mm: its address space
 * @inherit: what its address space has in common with its parent's
 * @attached: what it leaves here
 * @bare: it has neither memory nor files
 * @inspected: the process was looked at
 * @suspect: something speaks against moving the process, unless the process has ended meanwhile
 * @reasons: digest of what spoke against it in the last look, when it is a suspect
 * @asked: the destination was asked for what the process needs there
 * @announced: the destination knows the object
 * @gone: the address space is no more: nobody uses @mm
 */
struct source_process {
	pid_t pid;
	struct proc_status status;
	struct space_mark mark;
	struct criu_task task;
	struct vma_list held;
	struct proc_files held_files, files;
	uint64_t files_ns;
	bool files_held, files_read, attributes_read;
	struct source_attributes attributes;
	struct source_mm mm;
	struct inherit inherit;
	struct attached attached;
	uint64_t reasons;
	bool bare, inspected, suspect, asked, announced, gone;
};

/** source_process_has_exited() - @status is that of a zombie, and no thread of it runs on */
bool source_process_has_exited(const struct proc_status *status);

/**
 * source_process_called_exec() - the process has another address space than in source_process_init()
 *
 * A session of the backend sees the end of an address space, which comes later when another process has
 * it too.
 */
bool source_process_called_exec(const struct source_process *process);

/**
 * source_process_init() - @pid as it is now; the caller gives its address space an object id
 *
 * In any thread. source_process_destroy() may be called after a failure too.
 */
int source_process_init(struct source_process *process, pid_t pid, struct error *err);
void source_process_destroy(struct source_process *process);

/**
 * source_process_held() - its mappings while CRIU holds it
 *
 * With thousands of mappings the list takes the kernel longer than most of what is done while the program
 * stands: it is read once, and all who look at it share it.
 * Return: NULL with @err
 */
const struct vma_list *source_process_held(struct source_process *process, struct error *err);
/**
 * source_process_held_files() - its descriptors while CRIU holds it, read once
 *
 * A process that stands opens and closes none: all looks at it find the same.
 * Return: NULL with @err
 */
const struct proc_files *source_process_held_files(struct source_process *process, struct error *err);
/**
 * source_process_read_files() - read its descriptors ahead, for looks that follow at once
 *
 * A process that cannot be read is left to these looks.
 */
void source_process_read_files(struct source_process *process);
/** source_process_read_files_if_old() - the same, unless they were read less than a moment ago */
void source_process_read_files_if_old(struct source_process *process);
/**
 * source_process_files() - its descriptors: those that were read ahead, or as they are now
 * @own: for the latter; the caller frees them in any case
 *
 * Return: NULL with @err
 */
const struct proc_files *source_process_files(const struct source_process *process, struct proc_files *own,
					      struct error *err);
/** source_process_forget_attributes() - RestoreGo reads them */
void source_process_forget_attributes(struct source_process *process);
/** source_process_forget_files() - the next look reads them */
void source_process_forget_files(struct source_process *process);
/** source_process_hold() - read both lists, unless they were read */
int source_process_hold(struct source_process *process, struct error *err);
/** source_process_forget_held() - after a dump, and before the first look */
void source_process_forget_held(struct source_process *process);

#endif
