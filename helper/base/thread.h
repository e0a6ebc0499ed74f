/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_BASE_THREAD_H
#define MIGRATE_BASE_THREAD_H

#include <pthread.h>
#include "base/error.h"

/** thread_start() - pthread_create() that fills @err; 0 or -1 */
int thread_start(pthread_t *thread, void *(*body)(void *), void *arg, struct error *err);

#endif
