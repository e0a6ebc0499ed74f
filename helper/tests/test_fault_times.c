// SPDX-License-Identifier: GPL-2.0
/* Done carries what the destination measured, and both results have the same fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "session/fault_times.h"

static struct fault_times some(void)
{
	struct fault_times times = {
		.all = { .nr = 3, .sum_ns = 60, .p50_ns = 10, .p99_ns = 20, .p999_ns = 30, .longest_ns = 40 },
	};

	times.all.powers[0] = 1;
	times.all.powers[LATENCY_POWERS - 1] = 2;
	fault_times_add(&times, &(struct fault_process){ .pid = 7, .faults = 1, .blocked_ns = 20 });
	fault_times_add(&times, &(struct fault_process){ .pid = 8, .faults = 2, .blocked_ns = 40 });
	return times;
}

/* Through the bytes of a message. */
static struct fault_times carried(const struct fault_times *times)
{
	struct fault_times_message msg;
	struct fault_times got;
	Migrate__FaultTimes *read;
	uint8_t buf[2000];
	size_t bytes;

	fault_times_pack(times, &msg);
	bytes = migrate__fault_times__pack(&msg.times, buf);
	read = migrate__fault_times__unpack(NULL, bytes, buf);
	assert_non_null(read);
	fault_times_take(&got, read);
	migrate__fault_times__free_unpacked(read, NULL);
	return got;
}

static void done_carries_all(void **state)
{
	struct fault_times times = some(), got = carried(&times);

	assert_memory_equal(&got, &times, sizeof(times));
}

static void worst_first(void **state)
{
	struct fault_times times = { 0 };

	for (int i = 0; i < 3 * FAULT_TIMES_PROCESSES; i++)
		fault_times_add(&times, &(struct fault_process){
			.pid = i + 1, .faults = 1, .blocked_ns = (i * 7) % (3 * FAULT_TIMES_PROCESSES),
		});
	assert_int_equal(times.nr, FAULT_TIMES_PROCESSES);
	for (int i = 0; i < FAULT_TIMES_PROCESSES; i++)
		assert_int_equal(times.worst[i].blocked_ns, 3 * FAULT_TIMES_PROCESSES - 1 - i);
	/* one without faults is none */
	fault_times_add(&times, &(struct fault_process){ .pid = 99, .blocked_ns = 1000 });
	assert_int_not_equal(times.worst[0].pid, 99);
}

/* A destination that says more than there is room for, or nothing. */
static void foreign(void **state)
{
	Migrate__FaultTimes msg = MIGRATE__FAULT_TIMES__INIT;
	Migrate__FaultProcess process = MIGRATE__FAULT_PROCESS__INIT, *list[1000];
	uint64_t powers[1000];
	struct fault_times times = some();

	process.faults = 1;
	for (int i = 0; i < 1000; i++) {
		list[i] = &process;
		powers[i] = i;
	}
	msg.powers = powers;
	msg.n_powers = 1000;
	msg.processes = list;
	msg.n_processes = 1000;
	fault_times_take(&times, &msg);
	assert_int_equal(times.nr, FAULT_TIMES_PROCESSES);
	assert_int_equal(times.all.powers[LATENCY_POWERS - 1], LATENCY_POWERS - 1);
	fault_times_take(&times, NULL);
	assert_int_equal(times.nr, 0);
	assert_int_equal(times.all.nr, 0);
}

static void json(void **state)
{
	struct fault_times times = some();
	json_t *object = fault_times_json(&times), *inner, *processes;

	assert_int_equal(json_integer_value(json_object_get(object, "postcopy_latency")), 20);
	assert_int_equal(json_array_size(json_object_get(object, "postcopy_latency_dist")), 24);
	inner = json_object_get(object, "fault_times");
	assert_int_equal(json_integer_value(json_object_get(inner, "faults")), 3);
	assert_int_equal(json_integer_value(json_object_get(inner, "blocked_ns")), 60);
	assert_int_equal(json_integer_value(json_object_get(inner, "p50_ns")), 10);
	assert_int_equal(json_integer_value(json_object_get(inner, "p99_ns")), 20);
	assert_int_equal(json_integer_value(json_object_get(inner, "p999_ns")), 30);
	assert_int_equal(json_integer_value(json_object_get(inner, "max_ns")), 40);
	processes = json_object_get(inner, "processes");
	assert_int_equal(json_array_size(processes), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(processes, 0), "pid")), 8);
	json_decref(object);
	assert_null(fault_times_json(&(struct fault_times){ 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(done_carries_all),
		cmocka_unit_test(worst_first),
		cmocka_unit_test(foreign),
		cmocka_unit_test(json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
