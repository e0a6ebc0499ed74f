/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long the restored program waited for pages after COMMIT: from the moment in which the destination's helper has read a
 * fault until it has answered it. How long the fault lay in the kernel before is not in it: the kernel does not tell. Nor does it name the
 * thread, since CRIU makes the userfaultfds without UFFD_FEATURE_THREAD_ID; so the figures are of processes.
 *
 * The destination measures, Done tells the source, and both write the same names into their results.
 */
#ifndef MIGRATE_SESSION_FAULT_TIMES_H
#define MIGRATE_SESSION_FAULT_TIMES_H

#include <jansson.h>
#include <stddef.h>
#include "base/latency.h"
#include "wire/control.h"

#define FAULT_TIMES_PROCESSES	16

/**
 * struct fault_process - one process of the program
 * @pid: at the source, in the program's PID namespace; 0: shared memory
 * @faults: that were answered, children included that it has forked since
 * @blocked_ns: sum of their times. More than the time that passed when several threads waited
 */
struct fault_process {
	int32_t pid;
	uint64_t faults, blocked_ns;
};

/** struct fault_times - @worst: the @nr processes that waited longest, the longest first. Zeroed is empty */
struct fault_times {
	struct latency_figures all;
	struct fault_process worst[FAULT_TIMES_PROCESSES];
	size_t nr;
};

/** fault_times_add() - one more process, which counts if it is among the worst */
void fault_times_add(struct fault_times *times, const struct fault_process *process);

/** struct fault_times_message - what fault_times_pack() fills; good as long as it stands where it is */
struct fault_times_message {
	Migrate__FaultTimes times;
	Migrate__FaultProcess processes[FAULT_TIMES_PROCESSES], *list[FAULT_TIMES_PROCESSES];
	uint64_t powers[LATENCY_POWERS];
};

void fault_times_pack(const struct fault_times *times, struct fault_times_message *msg);
/** fault_times_take() - what Done says; @msg NULL, of an older destination: nothing. What is too much is left out */
void fault_times_take(struct fault_times *times, const Migrate__FaultTimes *msg);

/** fault_times_json() - fields for a result, those of QEMU's query-migrate under its names; NULL when no fault was answered */
json_t *fault_times_json(const struct fault_times *times);

#endif
