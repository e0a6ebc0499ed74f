/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread that answers faults: it waits for the userfaultfds of all mms, for CRIU's handing
 * them over, and sends what is wanted now over the urgent connection.
 */
#ifndef MIGRATE_DEST_FAULTS_H
#define MIGRATE_DEST_FAULTS_H

#include "criu/criu.h"
#include "dest/objects.h"
#include "wire/conn.h"

/**
 * struct faults_hooks - calls into the rest of the migration, without locks
 * @attach: CRIU handed over the userfaultfd of task @pid, or -1; owned by the callee
 * @restored: CRIU's finish marker came
 * @failed: something is wrong; the thread goes on all the same, since tasks depend on it
 */
struct faults_hooks {
	int (*attach)(void *ctx, pid_t pid, int uffd, struct error *err);
	void (*restored)(void *ctx);
	void (*failed)(void *ctx, const struct error *err);
	void *ctx;
};

/**
 * struct faults - only the thread itself uses it while it runs, but for @epoll and @kick
 * @epoll: any thread may change what is waited for
 * @kick: eventfd that wakes the thread: an mm has requests, or faults to look at again
 * @urgent: not owned; NULL when the source is lost
 * @lazy: not owned; NULL when CRIU has handed over all
 */
struct faults {
	int epoll, kick, lazy_fd;
	struct objects *objects;
	const struct conn *urgent;
	struct lazy_server *lazy;
	struct faults_hooks hooks;
	pthread_t thread;
	bool has_thread;
	atomic_bool stop;
};

/** faults_init() - @objects, @urgent and @hooks are set already */
int faults_init(struct faults *faults, struct error *err);
void faults_destroy(struct faults *faults);

/** faults_watch() - mm_hooks.watch: have the thread wait for @space, or no longer */
int faults_watch(struct faults *faults, struct space *space, bool on, struct error *err);
/** faults_kick() - mm_hooks.kick */
void faults_kick(struct faults *faults);

/** faults_expect() - CRIU will hand its userfaultfds over on @lazy; before faults_start() */
int faults_expect(struct faults *faults, struct lazy_server *lazy, struct error *err);

/** faults_start() - start the thread */
int faults_start(struct faults *faults, struct error *err);
/** faults_stop() - the thread has ended then; not from its own thread */
void faults_stop(struct faults *faults);

#endif
