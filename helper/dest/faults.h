/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread that answers faults: it waits for userfaultfds, for CRIU's handing
 * them over, and sends what is wanted now over the urgent connection.
 */
#ifndef MIGRATE_DEST_FAULTS_H
#define MIGRATE_DEST_FAULTS_H

#include "criu/criu.h"
#include "dest/mm.h"
#include "wire/conn.h"

/**
 * struct faults_hooks - what the rest of the helper must know; called without locks
 * @restored: CRIU's finish marker came
 * @failed: something is wrong; the thread goes on all the same, since tasks depend on it
 */
struct faults_hooks {
	void (*restored)(void *ctx);
	void (*failed)(void *ctx, const struct error *err);
	void *ctx;
};

/**
 * struct faults - its state; only the thread itself uses it while it runs
 * @epoll: may be changed by any thread
 * @urgent: not owned; NULL when the source is lost
 * @lazy: not owned; NULL when CRIU has handed over all
 * @task_pid: the pid that CRIU must hand over
 */
struct faults {
	int epoll;
	const struct conn *urgent;
	int lazy_fd;
	uint64_t cookie;
	struct mm *mm;
	struct lazy_server *lazy;
	pid_t task_pid;
	struct faults_hooks hooks;
	atomic_bool stop;
};

int faults_init(struct faults *thread, struct error *err);
void faults_destroy(struct faults *thread);

/** faults_watch() - mm_hooks.watch: have the thread wait for @space, or no longer */
int faults_watch(struct faults *thread, struct space *space, bool on, struct error *err);

/** faults_expect() - CRIU will hand its userfaultfds over on @lazy; before the thread starts */
int faults_expect(struct faults *thread, struct lazy_server *lazy, struct error *err);

/** faults_run() - body of the thread; ends after @stop was set and mm_kick() called */
void faults_run(struct faults *thread);

#endif
