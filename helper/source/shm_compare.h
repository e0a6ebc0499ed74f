/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The comparison of shared memory, begun as soon as the program stands: several threads read the pages that
 * the destination has, while CRIU dumps. What they find to be the same is neither read nor sent again.
 *
 * Why no page is taken for the same that is not: a thread reads a page only after the program stands, and
 * nothing of the program runs from then on. The one exception is CRIU's code in the program's threads. It has
 * memory of its own, and its work makes the kernel write the rseq areas of the threads: with such an area in
 * shared memory nothing of the early comparison counts (shms_forget_rseq()). The kernel writes nothing in the
 * name of a program that stands: io_uring and io_setup() are refused, and any other call that writes memory
 * ends, or has not begun, before its thread stands. A process outside of the tree that writes goes on to do so
 * whenever the comparison is made: such a program is refused, or its user has accepted a copy.
 *
 * A page that a thread could not read, or that is another one, is left to shms_send().
 */
#ifndef MIGRATE_SOURCE_SHM_COMPARE_H
#define MIGRATE_SOURCE_SHM_COMPARE_H

#include <pthread.h>
#include <stdatomic.h>
#include "criu/criu.h"
#include "session/mailbox.h"
#include "source/shm.h"

#define COMPARE_THREADS_MAX	8

/**
 * struct shm_compare - one comparison; zeroed is none. Of the thread that calls shm_compare_start(), then of
 *	the one that calls shm_compare_end()
 * @box: a failure ends the threads early
 * @stop: the program runs again, so that nothing counts
 * @lock: of @at and @addr: the object whose pages are next, and which of them
 */
struct shm_compare {
	struct source_shms *shms;
	struct mailbox *box;
	atomic_bool stop;
	pthread_mutex_t lock;
	size_t at;
	uint64_t addr;
	pthread_t threads[COMPARE_THREADS_MAX];
	unsigned int nr_threads;
	bool begun;
};

/**
 * shm_compare_start() - the program stands: begin. Nothing when it has begun
 *
 * Until shm_compare_end() nobody else uses the objects.
 */
void shm_compare_start(struct shm_compare *compare, struct source_shms *shms, struct mailbox *box);
/** shm_compare_stop() - the program will run again; may be called by any thread */
void shm_compare_stop(struct shm_compare *compare);
/** shm_compare_end() - wait for the threads; then shm_is_known() is true of pages that are the same */
void shm_compare_end(struct shm_compare *compare);

/** shm_is_known() - was the page at the offset @addr read while the program stood, and is the destination's? */
bool shm_is_known(const struct source_shm *shm, uint64_t addr);

/** shms_forget_rseq() - let nothing be known if @task has an rseq area in shared memory */
void shms_forget_rseq(struct source_shms *shms, const struct criu_task *task);

#endif
