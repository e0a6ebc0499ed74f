/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread that answers faults: it waits for userfaultfds, for CRIU's handing
 * them over, and sends what is wanted now over the urgent connection.
 */
#ifndef MIGRATE_DEST_FAULT_H
#define MIGRATE_DEST_FAULT_H

#include "criu/criu.h"
#include "dest/memory.h"
#include "wire/conn.h"

/**
 * struct fault_hooks - what the rest of the helper must know; called without locks
 * @restored: CRIU's finish marker came
 * @failed: something is wrong; the thread goes on all the same, since tasks depend on it
 */
struct fault_hooks {
	void (*restored)(void *ctx);
	void (*failed)(void *ctx, const struct error *err);
	void *ctx;
};

/**
 * struct fault_thread - its state; only the thread itself uses it while it runs
 * @epoll: may be changed by any thread
 * @urgent: not owned; NULL when the source is lost
 * @lazy: not owned; NULL when CRIU has handed over all
 * @task_pid: the pid that CRIU must hand over
 */
struct fault_thread {
	int epoll;
	const struct conn *urgent;
	int lazy_fd;
	uint64_t cookie;
	struct memory *mem;
	struct lazy_server *lazy;
	pid_t task_pid;
	struct fault_hooks hooks;
	atomic_bool stop;
};

int fault_init(struct fault_thread *thread, struct error *err);
void fault_destroy(struct fault_thread *thread);

/** fault_watch() - memory_hooks.watch: have the thread wait for @space, or no longer */
int fault_watch(struct fault_thread *thread, struct space *space, bool on, struct error *err);

/** fault_expect() - CRIU will hand its userfaultfds over on @lazy; before the thread starts */
int fault_expect(struct fault_thread *thread, struct lazy_server *lazy, struct error *err);

/** fault_run() - body of the thread; ends after @stop was set and memory_kick() called */
void fault_run(struct fault_thread *thread);

#endif
