/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One process of a pre-dump: its soft-dirty bits are cleared, then its memory is written, while it runs.
 *
 * Why nothing is lost. A page is read after the bits were cleared. A write before its read is in the image, as far as it
 * had come; any write after the clearing sets the page's bit again, so that the next dump takes the page, whether the image
 * has it or not. A page whose bit is clear at the next dump was not written since the clearing: what was read is what is
 * there. The bits are not asked here: they cannot be read and cleared in one step while the process runs. With a parent
 * the content of each page is compared instead, which also finds what the bits do not tell.
 *
 * What the bits do not tell, CRIU misses at the dump that follows, after its own pre-dumps as well as after these: a page
 * table that mremap() moved, and writes past the page tables (direct I/O of Linux 6.1, DMA that was under way when the bits
 * were cleared). The first makes criu dump fail ("Missing ... in parent pagemap"); `migrate`, which does not trust the
 * bits alone, has none of these.
 */
#ifndef MIGRATE_SERVICES_PREDUMP_TASK_H
#define MIGRATE_SERVICES_PREDUMP_TASK_H

#include "backend/backend.h"
#include "os/proc.h"
#include "services/image_dir.h"
#include "services/page_copier.h"
#include "services/page_sender.h"

/**
 * struct predump_left - pages that could not be read
 * @name: of their mapping, as in /proc/PID/maps
 * @may_read: the process itself may read them
 */
struct predump_left {
	struct page_left pages;
	char name[64];
	bool may_read;
};

/**
 * struct predump_task - one process
 * @status: of the time at which it was opened
 * @made, @taken: its images, and whether there are any
 * @counts: pages
 * @scanned: pages that the scan found
 * @left, @nr_left: the first places that could not be read, and how many there were
 * @ns: time that its memory took
 * @err: why there are no images of it
 */
struct predump_task {
	pid_t pid;
	struct proc_status status;
	struct backend *backend;
	struct image_made made;
	bool taken;
	struct page_counts counts;
	uint64_t scanned, ns;
	struct predump_left left[PAGE_LEFT_MAX];
	size_t nr_left;
	struct error err;
};

/**
 * predump_task_open() - open the memory of @task->pid, and clear its soft-dirty bits
 * @before_ticks: a process that started then, or later, is refused: CRIU takes it for one that is not in the images
 * @clear: the kernel has such bits
 * Return: 0, or -1 with @task->err
 */
int predump_task_open(struct predump_task *task, enum backend_kind kind, uint64_t before_ticks, bool clear);

/**
 * predump_task_write() - write its images
 * @parent_fd: the directory of the parent; -1: none
 * @file: initialised
 * Return: 0, or -1 with @task->err, and no images
 */
int predump_task_write(struct predump_task *task, struct image_dir *dir, int parent_fd, struct pages_file *file);

/**
 * predump_task_send() - send its memory to a page server, all of it: the bits are cleared, and what an older image there
 * has cannot be compared from here
 * Return: 0, or -1 with @task->err; then the server's images of the process are not to be used
 */
int predump_task_send(struct predump_task *task, struct page_sender *sender);

/** predump_task_close() - close the session; what is known of the task stays */
void predump_task_close(struct predump_task *task);

#endif
