// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include "base/spread.h"
#include "base/thread.h"

#define THREADS_MAX	8
#define EACH		4	/* things for a thread, at least: to start one takes as long as a few calls */

/**
 * struct spread - shared by the threads
 * @next: the first thing that no thread has taken
 * @lock: of @worst and @err
 * @worst: the lowest number of a thing that failed
 */
struct spread {
	spread_fn fn;
	void *ctx;
	size_t nr;
	atomic_size_t next;
	pthread_mutex_t lock;
	size_t worst;
	struct error err;
};

static void take_failure(struct spread *spread, size_t at, const struct error *err)
{
	/* nothing is left to take */
	atomic_store(&spread->next, spread->nr);
	pthread_mutex_lock(&spread->lock);
	if (at < spread->worst) {
		spread->worst = at;
		spread->err = *err;
	}
	pthread_mutex_unlock(&spread->lock);
}

static void *spread_body(void *arg)
{
	struct spread *spread = arg;
	size_t at;

	while ((at = atomic_fetch_add(&spread->next, 1)) < spread->nr) {
		struct error err = { 0 };

		if (spread->fn(spread->ctx, at, &err))
			take_failure(spread, at, &err);
	}
	return NULL;
}

static size_t count_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
}

/* Beside the caller's */
static size_t threads_wanted(size_t nr, size_t most)
{
	size_t wanted = nr / EACH;

	if (wanted > most)
		wanted = most;
	if (wanted > THREADS_MAX)
		wanted = THREADS_MAX;
	return wanted ? wanted - 1 : 0;
}

static int run(size_t nr, size_t most, spread_fn fn, void *ctx, struct error *err)
{
	struct spread spread = {
		.fn = fn, .ctx = ctx, .nr = nr, .worst = nr, .lock = PTHREAD_MUTEX_INITIALIZER,
	};
	size_t wanted = threads_wanted(nr, most), started = 0;
	pthread_t threads[THREADS_MAX];
	struct error ignored = { 0 };

	while (started < wanted && !thread_start(&threads[started], spread_body, &spread, &ignored))
		started++;
	spread_body(&spread);
	while (started)
		pthread_join(threads[--started], NULL);
	if (spread.worst == nr)
		return 0;
	*err = spread.err;
	return -1;
}

int spread_run(size_t nr, spread_fn fn, void *ctx, struct error *err)
{
	return run(nr, count_cpus(), fn, ctx, err);
}

int spread_run_waiting(size_t nr, spread_fn fn, void *ctx, struct error *err)
{
	return run(nr, THREADS_MAX, fn, ctx, err);
}
