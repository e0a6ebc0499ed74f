// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "session/fault_times.h"

void fault_times_add(struct fault_times *times, const struct fault_process *process)
{
	size_t at = times->nr;

	if (!process->faults)
		return;
	while (at && times->worst[at - 1].blocked_ns < process->blocked_ns)
		at--;
	if (at == FAULT_TIMES_PROCESSES)
		return;
	if (times->nr < FAULT_TIMES_PROCESSES)
		times->nr++;
	memmove(&times->worst[at + 1], &times->worst[at], (times->nr - 1 - at) * sizeof(*process));
	times->worst[at] = *process;
}

void fault_times_pack(const struct fault_times *times, struct fault_times_message *msg)
{
	const struct latency_figures *all = &times->all;

	migrate__fault_times__init(&msg->times);
	msg->times.faults = all->nr;
	msg->times.blocked_ns = all->sum_ns;
	msg->times.p50_ns = all->p50_ns;
	msg->times.p99_ns = all->p99_ns;
	msg->times.p999_ns = all->p999_ns;
	msg->times.longest_ns = all->longest_ns;
	memcpy(msg->powers, all->powers, sizeof(msg->powers));
	msg->times.powers = msg->powers;
	msg->times.n_powers = LATENCY_POWERS;
	for (size_t i = 0; i < times->nr; i++) {
		migrate__fault_process__init(&msg->processes[i]);
		msg->processes[i].pid = times->worst[i].pid;
		msg->processes[i].faults = times->worst[i].faults;
		msg->processes[i].blocked_ns = times->worst[i].blocked_ns;
		msg->list[i] = &msg->processes[i];
	}
	msg->times.processes = msg->list;
	msg->times.n_processes = times->nr;
}

void fault_times_take(struct fault_times *times, const Migrate__FaultTimes *msg)
{
	*times = (struct fault_times){ 0 };
	if (!msg)
		return;
	times->all = (struct latency_figures){
		.nr = msg->faults, .sum_ns = msg->blocked_ns, .p50_ns = msg->p50_ns, .p99_ns = msg->p99_ns,
		.p999_ns = msg->p999_ns, .longest_ns = msg->longest_ns,
	};
	for (size_t i = 0; i < msg->n_powers && i < LATENCY_POWERS; i++)
		times->all.powers[i] = msg->powers[i];
	for (size_t i = 0; i < msg->n_processes; i++)
		fault_times_add(times, &(struct fault_process){
			.pid = msg->processes[i]->pid, .faults = msg->processes[i]->faults,
			.blocked_ns = msg->processes[i]->blocked_ns,
		});
}

static json_t *processes_json(const struct fault_times *times)
{
	json_t *array = json_array();

	for (size_t i = 0; i < times->nr; i++)
		json_array_append_new(array, json_pack("{s:i,s:I,s:I}", "pid", times->worst[i].pid,
						       "faults", (json_int_t)times->worst[i].faults,
						       "blocked_ns", (json_int_t)times->worst[i].blocked_ns));
	return array;
}

json_t *fault_times_json(const struct fault_times *times)
{
	const struct latency_figures *all = &times->all;
	json_t *powers;

	if (!all->nr)
		return NULL;
	powers = json_array();
	for (size_t i = 0; i < LATENCY_POWERS; i++)
		json_array_append_new(powers, json_integer(all->powers[i]));
	return json_pack("{s:I,s:o,s:{s:I,s:I,s:I,s:I,s:I,s:I,s:o}}",
			 "postcopy_latency", (json_int_t)(all->sum_ns / all->nr), "postcopy_latency_dist", powers,
			 "fault_times", "faults", (json_int_t)all->nr, "blocked_ns", (json_int_t)all->sum_ns,
			 "p50_ns", (json_int_t)all->p50_ns, "p99_ns", (json_int_t)all->p99_ns,
			 "p999_ns", (json_int_t)all->p999_ns, "max_ns", (json_int_t)all->longest_ns,
			 "processes", processes_json(times));
}
