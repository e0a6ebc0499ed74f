/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread that answers faults. It waits for events of all userfaultfds, takes new userfaultfds
 * from CRIU, and sends requests for pages over the urgent connection.
 */
#ifndef MIGRATE_DEST_FAULTS_H
#define MIGRATE_DEST_FAULTS_H

#include "criu/criu.h"
#include "dest/objects.h"
#include "wire/conn.h"

/**
 * struct faults_hooks - calls into the rest of the migration, without locks
 * @attach: CRIU handed over the userfaultfd of task @pid, which the callee then owns; or -1
 * @restored: CRIU's finish marker came
 * @failed: reports an error; the thread goes on, since tasks depend on it
 */
struct faults_hooks {
	int (*attach)(void *ctx, pid_t pid, int uffd, struct error *err);
	void (*restored)(void *ctx);
	void (*failed)(void *ctx, const struct error *err);
	void *ctx;
};

/**
 * struct faults - while the thread runs, other threads only use @epoll, @kick and the list
 * @epoll: any thread may add and remove descriptors
 * @kick: eventfd that wakes the thread
 * @lock: a leaf lock, for the list of mms that have requests, or faults to retry
 * @kicked, @last_kicked: this list
 * @urgent: the urgent connection, not owned; NULL when the source is lost
 * @lazy: CRIU's socket, not owned; NULL when CRIU has handed over all userfaultfds
 */
struct faults {
	int epoll, kick, lazy_fd;
	pthread_mutex_t lock;
	struct mm *kicked, *last_kicked;
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

/** faults_watch() - mm_hooks.watch: add @space to the descriptors of @epoll, or remove it */
int faults_watch(struct faults *faults, struct space *space, bool on, struct error *err);
/** faults_kick() - mm_hooks.kick; @mm NULL: only wake the thread */
void faults_kick(struct faults *faults, struct mm *mm);

/** faults_expect() - take CRIU's userfaultfds from @lazy; called before faults_start() */
int faults_expect(struct faults *faults, struct lazy_server *lazy, struct error *err);

/** faults_start() - start the thread */
int faults_start(struct faults *faults, struct error *err);
/** faults_stop() - end the thread, and wait for it; not called by the thread itself */
void faults_stop(struct faults *faults);

#endif
