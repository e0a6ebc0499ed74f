// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "os/affinity.h"
#include "os/attributes.h"
#include "os/proc.h"

/* The CPUs of one thread. */
struct thread_cpus {
	pid_t tid;
	struct cpus cpus;
};

static int save_thread(void *ctx, pid_t tid)
{
	struct affinity *affinity = ctx;
	struct thread_cpus *thread;

	if (affinity->nr == affinity->cap) {
		size_t cap = 2 * affinity->cap + 16;

		thread = realloc(affinity->threads, cap * sizeof(*thread));
		if (!thread)
			return -1;
		affinity->threads = thread;
		affinity->cap = cap;
	}
	thread = &affinity->threads[affinity->nr];
	thread->tid = tid;
	if (!thread_cpus(tid, &thread->cpus))
		affinity->nr++;
	return 0;
}

void affinity_save(struct affinity *affinity, pid_t pid)
{
	memset(affinity, 0, sizeof(*affinity));
	proc_threads(pid, save_thread, affinity, &(struct error){ 0 });
}

void affinity_restore(struct affinity *affinity)
{
	for (size_t i = 0; i < affinity->nr; i++) {
		const struct thread_cpus *thread = &affinity->threads[i];
		struct cpus now;

		/* fails when no CPU of the thread is in the new cpuset */
		if (!thread_cpus(thread->tid, &now) &&
		    memcmp(&now, &thread->cpus, sizeof(now)))
			thread_set_cpus(thread->tid, &thread->cpus);
	}
	free(affinity->threads);
	memset(affinity, 0, sizeof(*affinity));
}
