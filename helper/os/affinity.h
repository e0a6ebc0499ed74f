/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_AFFINITY_H
#define MIGRATE_OS_AFFINITY_H

#include <stddef.h>
#include <sys/types.h>

struct thread_cpus;

/** struct affinity - the CPUs of each thread of a process; zeroed is empty */
struct affinity {
	struct thread_cpus *threads;
	size_t nr, cap;
};

/**
 * affinity_save() - note the CPUs of each thread before the process moves to another cgroup
 *
 * Before Linux 6.2 a thread that enters another cpuset loses its sched_setaffinity(2), and may run
 * on all CPUs of the cpuset. @affinity leaves out a thread that cannot be read.
 */
void affinity_save(struct affinity *affinity, pid_t pid);
/** affinity_restore() - give each thread the CPUs that it lost; empties @affinity */
void affinity_restore(struct affinity *affinity);

#endif
