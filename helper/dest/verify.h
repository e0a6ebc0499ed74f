/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compares the restored task's memory with digests that the source took of its own.
 */
#ifndef MIGRATE_DEST_VERIFY_H
#define MIGRATE_DEST_VERIFY_H

#include "criu/criu.h"
#include "dest/budget.h"
#include "os/cgroup.h"
#include "wire/control.h"

/** struct verify_piece - digest of some pages of mm @object */
struct verify_piece {
	uint64_t addr, xxh3;
	uint32_t nr_pages, object;
};

/** struct verify - digests as they came; @complete after the last message; @budget: may be NULL */
struct verify {
	struct budget *budget;
	struct verify_piece *pieces;
	size_t nr, cap;
	bool complete;
};

int verify_add(struct verify *verify, const Migrate__Digests *digests, struct error *err);
void verify_free(struct verify *verify);

/**
 * verify_task() - read the memory of one task and compare
 * @object: the mm of the task
 * @pid: of the restored task, in our namespace
 * @task: says what the kernel rewrites at will (rseq): not compared
 * @populated: the source's; a page here that is not in it must read as zeros
 * @group: in which the task is frozen; thawed and frozen again if it is of cgroup v1
 * @pages: added to: how many were compared
 *
 * All pages must be installed, else the reading waits for them. The task must stand, and is
 * traced meanwhile.
 */
int verify_task(const struct verify *verify, uint32_t object, pid_t pid, const struct criu_task *task,
		const struct page_set *populated, const struct cgroup *group,
		uint64_t *pages, struct error *err);

/**
 * verify_host_pid() - pid, as seen here, of task @ns_pid in the PID namespace of @init_pid
 * Return: 0 when there is none
 */
pid_t verify_host_pid(pid_t init_pid, pid_t ns_pid);

#endif
