/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compares the restored task's memory with digests of the memory at the source.
 */
#ifndef MIGRATE_DEST_VERIFY_H
#define MIGRATE_DEST_VERIFY_H

#include "criu/criu.h"
#include "dest/budget.h"
#include "wire/control.h"

/** struct verify_piece - digest of some pages of mm @object */
struct verify_piece {
	uint64_t addr, xxh3;
	uint32_t nr_pages, object;
};

/**
 * struct verify - received digests
 * @pieces: in order of object and address when @complete, the last message has come
 * @budget: may be NULL
 * @pages: that all pieces have, at most as many as were listed
 */
struct verify {
	struct budget *budget;
	struct verify_piece *pieces;
	size_t nr, cap;
	uint64_t pages;
	bool complete;
};

int verify_add(struct verify *verify, const Migrate__Digests *digests, struct error *err);
void verify_free(struct verify *verify);
/** verify_of() - the pieces of mm @object, in order; @nr: how many. Once all have come */
const struct verify_piece *verify_of(const struct verify *verify, uint32_t object, size_t *nr);

/**
 * verify_task() - read the memory of one task and compare
 * @object: the mm of the task
 * @pid: the restored task, in the caller's PID namespace
 * @task: has the areas that the kernel rewrites at any time (rseq), which are not compared
 * @populated: the source's list; a page that is not in the list must read as zeros
 * @pages: added to: the number of compared pages
 *
 * All pages must be installed: otherwise the read waits for them. The caller traces the task, which
 * stands: since Linux 6.12 /proc/PID/mem may show pages that the task itself must not read only to its
 * tracer (proc_mem.force_override).
 */
int verify_task(const struct verify *verify, uint32_t object, pid_t pid, const struct criu_task *task,
		const struct page_set *populated, uint64_t *pages, struct error *err);

/**
 * verify_shared() - compare shared memory, which is the program's already
 * @object: its id; @fd: of it
 * @populated: so many pages the source has; each must have a digest
 */
int verify_shared(const struct verify *verify, uint32_t object, int fd, uint64_t populated,
		  uint64_t *pages, struct error *err);

#endif
