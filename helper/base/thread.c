// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include "base/thread.h"

int thread_start(pthread_t *thread, void *(*body)(void *), void *arg, struct error *err)
{
	errno = pthread_create(thread, NULL, body, arg);
	return errno ? error_errno(err, CODE_INTERNAL, NULL, "cannot start a thread") : 0;
}
