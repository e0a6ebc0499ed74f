/* SPDX-License-Identifier: GPL-2.0 */
/* The threads that serve the connections: one takes messages off control, one answers requests. */
#ifndef MIGRATE_SOURCE_THREADS_H
#define MIGRATE_SOURCE_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include "session/failure.h"
#include "source/link_set.h"
#include "source/requests.h"

/**
 * struct threads - of the main thread
 * @box: gets the messages; @failure: raised when a connection ends too early
 */
struct threads {
	struct mailbox *box;
	struct failure *failure;
	struct link_set *links;
	struct requests requests;
	pthread_t control, urgent;
	bool has_control, has_urgent;
};

/** threads_start() - the owner has filled @box, @failure, @links and @requests */
int threads_start(struct threads *threads, struct error *err);
/** threads_stop() - shut control and urgent down, and wait for the threads, if there are any */
void threads_stop(struct threads *threads);

#endif
