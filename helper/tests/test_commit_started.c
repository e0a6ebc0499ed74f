// SPDX-License-Identifier: GPL-2.0
/* From Started on: who dies, what is lost, and what both ends hear of it. Needs root. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "dest/lost_pages.h"
#include "os/cgroup_members.h"
#include "tests/commit_kit.h"

/* The stand-in for CRIU is a process that lives on without the root, and may do so for years. */
static void others_outlive_the_root(void **state)
{
	struct mm *mm = objects_mm_of(&kit->objects, TEST_PID);
	int64_t begin_ms;

	mm->spaces.list[0]->gone = true;
	run();
	say(MIGRATE__CONTROL__BODY_COMMIT);
	hear(MIGRATE__CONTROL__BODY_STARTED);
	begin_ms = clock_now_ms();
	hear(MIGRATE__CONTROL__BODY_DONE);
	/* so long an init that does not end is waited for */
	assert_true(clock_now_ms() < begin_ms + 30000);
	say_killed();
	assert_int_equal(join(), CODE_OK);
	assert_false(program_has_ended(&kit->program, 0));
}

/* The source's copy is older, but whole: it is not to be killed. */
static void a_death_before_all_came_is_told(void **state)
{
	run();
	say(MIGRATE__CONTROL__BODY_COMMIT);
	hear(MIGRATE__CONTROL__BODY_STARTED);
	kill_init();
	assert_int_equal(hear(MIGRATE__CONTROL__BODY_DIED), SIGKILL);
	assert_int_equal(join(), CODE_TARGET);
	assert_false(kit->undo);
}

/* The stand-in for CRIU as a process of the program. Return: its pid in the namespace */
static pid_t adopt(void)
{
	struct process *process = calloc(1, sizeof(*process));
	struct proc_status status;
	pid_t *pids = NULL;
	size_t nr;

	assert_int_equal(cgroup_pids(&kit->program.group, &pids, &nr, &kit->err), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(proc_status_read(pids[0], &status, &kit->err), 0);
	process->pid = status.ns_pid;
	process->host_pid = pids[0];
	kit->program.pid_ns = proc_ns(pids[0], "pid");
	kit->program.processes = malloc(sizeof(process));
	kit->program.processes[0] = process;
	kit->program.nr = 1;
	free(pids);
	return process->pid;
}

/* Killed at the source before all had come: it is killed here too, and both ends say so. */
static void what_was_lost_is_killed_and_named(void **state)
{
	struct mm *mm = objects_mm_of(&kit->objects, TEST_PID);
	struct error err = { 0 };
	Migrate__Control *msg;
	uint64_t lost;

	mm->pid = adopt();
	run();
	say(MIGRATE__CONTROL__BODY_COMMIT);
	hear(MIGRATE__CONTROL__BODY_STARTED);
	assert_int_equal(lost_pages_end(mm, false, &lost, &err), 0);
	assert_int_equal(lost, 7);
	msg = control_expect(kit->source, MIGRATE__CONTROL__BODY_DONE, LATER_MS, &err);
	assert_non_null(msg);
	assert_int_equal(msg->done->n_lost, 1);
	assert_int_equal(msg->done->lost[0]->pid, mm->pid);
	assert_int_equal(msg->done->lost[0]->pages, 7);
	assert_true(msg->done->lost[0]->killed);
	migrate__control__free_unpacked(msg, NULL);
	say_killed();
	assert_int_equal(join(), CODE_LOST);
	assert_true(program_has_ended(&kit->program, LATER_MS));
	assert_non_null(strstr(kit->err.what, "7 pages"));
	mm->pid = TEST_PID;
}

/* The program is served for as long as it lives, and the accepting process does not wait for that. */
static void a_lost_source_ends_nothing(void **state)
{
	int out = dup(1), err = dup(2);
	struct parent_msg msg;

	atomic_store(&nr_lost, 0);
	run();
	say(MIGRATE__CONTROL__BODY_COMMIT);
	hear(MIGRATE__CONTROL__BODY_STARTED);
	control_close(kit->source);
	kit->source = NULL;
	for (int ms = 0; ms < LATER_MS && !(was_told(&msg) && msg.ended); ms++)
		usleep(1000);
	assert_true(msg.ended);
	assert_int_equal(msg.code, CODE_DOUBT);
	assert_false(program_has_ended(&kit->program, 0));
	assert_int_equal(atomic_load(&kit->stopped), 0);
	assert_int_equal(atomic_load(&nr_lost), 1);
	kill_init();
	assert_int_equal(join(), CODE_DOUBT);
	assert_int_equal(atomic_load(&kit->stopped), 1);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(others_outlive_the_root, set_up_whole, tear_down),
		cmocka_unit_test_setup_teardown(a_death_before_all_came_is_told, set_up_lacking,
						tear_down),
		cmocka_unit_test_setup_teardown(what_was_lost_is_killed_and_named, set_up_lacking,
						tear_down),
		cmocka_unit_test_setup_teardown(a_lost_source_ends_nothing, set_up_lacking,
						tear_down),
	};

	if (argc == 4 && !strcmp(argv[2], "swrk"))
		_exit(fake_criu(atoi(argv[3])));
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, have_criu, drop_criu);
}
