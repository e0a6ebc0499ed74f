/* SPDX-License-Identifier: GPL-2.0 */
/* Attributes of threads and processes that CRIU does not carry: reading and setting them. */
#ifndef MIGRATE_OS_ATTRIBUTES_H
#define MIGRATE_OS_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

#define CPUS_MAX	8192
#define CPUS_BYTES	(CPUS_MAX / 8)
#define CPUS_TEXT_BYTES	64

/** struct cpus - a set of CPUs: bit n % 8 of byte n / 8 is CPU n */
struct cpus {
	uint8_t bits[CPUS_BYTES];
};

/** cpus_bytes() - bytes of the set without the zeros at its end */
size_t cpus_bytes(const struct cpus *cpus);
/** cpus_parse() - parse a list like "0-3,8"; -1: malformed, or a CPU number that is too high */
int cpus_parse(struct cpus *cpus, const char *list);
/** cpus_print() - print the set as a list; "..." at the end says that @text was too small */
void cpus_print(const struct cpus *cpus, char *text, size_t size);
/** cpus_and() - fill @both with the CPUs that are in @a and @b. Return: true when there is one */
bool cpus_and(struct cpus *both, const struct cpus *a, const struct cpus *b);
/**
 * cpus_available() - CPUs that a process without an affinity of its own may run on
 * @cgroup: directory of the process's cgroup (v2), or "" when it is not known
 */
int cpus_available(struct cpus *cpus, const char *cgroup, struct error *err);

#define MITIGATION_NEEDLESS	255

/** struct thread_sched - struct sched_attr of sched_setattr(2); C libraries name it differently */
struct thread_sched {
	uint32_t size;
	uint32_t sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime, sched_deadline, sched_period;	/* ns */
	uint32_t sched_util_min, sched_util_max;
};

/**
 * struct thread_attributes - attributes of one thread
 * @tid: in the caller's PID namespace
 * @ns_tid: in its own PID namespace
 * @ambient: ambient capabilities
 * @store_bypass, @indirect_branch: PR_SPEC_DISABLE or PR_SPEC_FORCE_DISABLE when the thread
 *	asked for the mitigation; MITIGATION_NEEDLESS when this machine does not need it; else 0
 * @io_priority: as of ioprio_get(2)
 */
struct thread_attributes {
	pid_t tid, ns_tid;
	bool no_new_privs, io_flusher;
	uint64_t ambient;
	unsigned int store_bypass, indirect_branch;
	struct thread_sched sched;
	uint64_t timer_slack_ns;
	int io_priority;
	struct cpus cpus;
};

/**
 * struct process_attributes - attributes of one process
 * @has_autogroup: the kernel has autogroups
 */
struct process_attributes {
	unsigned int coredump_filter;
	bool has_autogroup;
	int autogroup_nice;
};

/** thread_attributes_parse() - fill @attributes from one line of /proc/PID/task/TID/status */
void thread_attributes_parse(const char *line, struct thread_attributes *attributes);
int thread_attributes_read(pid_t pid, pid_t tid, struct thread_attributes *attributes,
			   struct error *err);
int process_attributes_read(pid_t pid, struct process_attributes *attributes, struct error *err);

/* Set an attribute of a stopped thread from outside. Return: 0 or -1 with errno */

int thread_set_timer_slack(pid_t tid, uint64_t ns);
/** thread_has_sched() - true when @now equals @wanted */
bool thread_has_sched(const struct thread_sched *wanted, const struct thread_sched *now);
int thread_set_sched(pid_t tid, const struct thread_sched *wanted);
int thread_set_io_priority(pid_t tid, int io_priority);
/** thread_cpus() - CPUs that the thread may run on. Return: 0 or -1 with errno */
int thread_cpus(pid_t tid, struct cpus *cpus);
/** thread_set_cpus() - the kernel ignores CPUs of @cpus that the machine lacks */
int thread_set_cpus(pid_t tid, const struct cpus *cpus);
int process_set_coredump_filter(pid_t pid, unsigned int value);
int process_set_autogroup_nice(pid_t pid, int value);

#endif
