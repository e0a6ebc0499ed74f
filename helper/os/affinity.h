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
 * affinity_save() - before a process moves to another cgroup
 *
 * Before Linux 6.2 a thread that comes into another cpuset may run on all of its CPUs, whatever
 * sched_setaffinity(2) said before. A thread that cannot be read is left out.
 */
void affinity_save(struct affinity *affinity, pid_t pid);
/** affinity_restore() - give each thread its CPUs again, where it lost them; empties @affinity */
void affinity_restore(struct affinity *affinity);

#endif
