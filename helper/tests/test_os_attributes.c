// SPDX-License-Identifier: GPL-2.0
/* Attributes of a thread and a process: as the kernel tells them, and set from outside. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <cmocka.h>
#include "os/attributes.h"
#include "tests/idle_child.h"

static void set_from_outside(void **state)
{
	struct process_attributes process;
	struct thread_attributes thread;
	struct error err = { 0 };
	pid_t pid = child_start();
	struct cpus cpus;

	assert_int_equal(cpus_parse(&cpus, "0"), 0);
	assert_int_equal(thread_set_cpus(pid, &cpus), 0);
	assert_int_equal(thread_set_timer_slack(pid, 12345), 0);
	assert_int_equal(thread_set_io_priority(pid, 2 << 13 | 5), 0);
	assert_int_equal(process_set_coredump_filter(pid, 0x7f), 0);
	assert_int_equal(thread_attributes_read(pid, pid, &thread, &err), 0);
	assert_int_equal(process_attributes_read(pid, &process, &err), 0);
	assert_memory_equal(&thread.cpus, &cpus, sizeof(cpus));
	assert_int_equal(thread.timer_slack_ns, 12345);
	assert_int_equal(thread.io_priority, 2 << 13 | 5);
	assert_int_equal(thread.ns_tid, pid);
	assert_false(thread.no_new_privs);
	assert_int_equal(process.coredump_filter, 0x7f);
	child_end(pid);
	assert_int_equal(thread_attributes_read(pid, pid, &thread, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
}

/* As Linux 6.1 writes them on a CPU that can mitigate. */
static void mitigations(void **state)
{
	static const struct {
		const char *line;
		unsigned int store_bypass, indirect_branch;
	} texts[] = {
		{ "Speculation_Store_Bypass:\tthread mitigated\n", PR_SPEC_DISABLE, 0 },
		{ "Speculation_Store_Bypass:\tthread force mitigated\n", PR_SPEC_FORCE_DISABLE, 0 },
		{ "Speculation_Store_Bypass:\tthread vulnerable\n", 0, 0 },
		{ "Speculation_Store_Bypass:\tglobally mitigated\n", MITIGATION_NEEDLESS, 0 },
		{ "SpeculationIndirectBranch:\tconditional disabled\n", 0, PR_SPEC_DISABLE },
		{ "SpeculationIndirectBranch:\tconditional force disabled\n", 0,
		  PR_SPEC_FORCE_DISABLE },
		{ "SpeculationIndirectBranch:\tconditional enabled\n", 0, 0 },
		{ "SpeculationIndirectBranch:\talways disabled\n", 0, MITIGATION_NEEDLESS },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct thread_attributes thread = { 0 };

		thread_attributes_parse(texts[i].line, &thread);
		assert_int_equal(thread.store_bypass, texts[i].store_bypass);
		assert_int_equal(thread.indirect_branch, texts[i].indirect_branch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_from_outside),
		cmocka_unit_test(mitigations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
