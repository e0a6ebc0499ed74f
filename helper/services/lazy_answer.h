/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One connection on which a lazy-pages, CRIU's or ours, asks for the pages of a held dump: a thread that answers.
 *
 * The end of a connection says nothing: the other end may come again. Only CLOSE says that the copy has all pages, and
 * only a command of zeros that no copy runs, as lazy_link_abort() says it.
 */
#ifndef MIGRATE_SERVICES_LAZY_ANSWER_H
#define MIGRATE_SERVICES_LAZY_ANSWER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include "services/lazy_dump.h"
#include "services/page_sender.h"
#include "wire/liveness.h"

/**
 * enum lazy_said - what the other end has said last
 * @LAZY_SAID_CLOSE: the thread waits for lazy_answer_settle()
 * @LAZY_SAID_ABORT: the thread has ended
 */
enum lazy_said { LAZY_SAID_NOTHING, LAZY_SAID_CLOSE, LAZY_SAID_ABORT };

/**
 * struct lazy_answer - one connection
 * @stream: the socket and its TLS, which the struct owns
 * @trust: TLS comes first, with these certificates; NULL: there is no TLS
 * @name: what the other end's certificate must be for; NULL: anything
 * @wake_fd: eventfd that gets 1 when the owner is to look
 * @peer: its address, for messages
 * @live: for the owner
 * @given: pages that all connections have given; @gave: this one. One without any knows nothing of a copy
 * @ended: the thread has ended, for @err
 * @status: answer to CLOSE
 */
struct lazy_answer {
	struct page_stream stream;
	const struct lazy_dump *dump;
	const struct tls_trust *trust;
	const char *name;
	int wake_fd;
	char peer[64];
	struct page_sender sender;
	struct liveness live;
	atomic_ulong *given, gave;
	atomic_int said;	/* enum lazy_said */
	atomic_bool ended;
	int32_t status;
	sem_t settled;
	struct error err;
	pthread_t thread;
};

/** lazy_answer_start() - answer in a thread; the owner has filled all up to @given. It owns @stream also after -1 */
int lazy_answer_start(struct lazy_answer *answer, struct error *err);

/** lazy_answer_settle() - after LAZY_SAID_CLOSE: what became of the dump; 0: CRIU kills the tasks */
void lazy_answer_settle(struct lazy_answer *answer, int32_t status);

/** lazy_answer_cut() - end the traffic, so that the thread ends */
void lazy_answer_cut(struct lazy_answer *answer);

/** lazy_answer_join() - wait for the end of the thread */
void lazy_answer_join(struct lazy_answer *answer);
void lazy_answer_free(struct lazy_answer *answer);

#endif
