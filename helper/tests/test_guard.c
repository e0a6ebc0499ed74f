// SPDX-License-Identifier: GPL-2.0
/*
 * The guard's group holds the program and no other process while it is frozen, whatever the program does
 * from the moment in which it enters the group.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/proc.h"
#include "source/guard.h"
#include "tests/family.h"
#include "tests/in_group.h"

struct kit {
	struct counting program;
	struct guard guard;
	struct error err;
};

static int set_up(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));
	char id[32];

	*state = kit;
	family_start(&kit->program);
	snprintf(id, sizeof(id), "test-%d", kit->program.pid);
	return guard_plan(&kit->guard, kit->program.pid, false, id, &kit->err);
}

static int tear_down(void **state)
{
	struct kit *kit = *state;

	guard_off(&kit->guard, &(struct error){ 0 });
	family_end(&kit->program);
	close(kit->guard.pidfd);
	free(kit);
	return 0;
}

static pid_t parent_of(pid_t pid)
{
	struct error err = { 0 };
	struct proc_status status;

	return proc_status_read(pid, &status, &err) ? -1 : status.ppid;
}

/* A program that entered the group, and a process whose parent ended then. */
static void orphan(struct kit *kit)
{
	family_have(&kit->program, SIGUSR1);
	assert_int_equal(guard_enter(&kit->guard, &kit->err), 0);
	assert_true(in_group(&kit->guard.group, others->pid));
	kill(others->parent, SIGTERM);
	for (int ms = 0; ms < LATER_MS && parent_of(others->pid) == others->parent; ms++)
		usleep(1000);
}

/* CRIU does not dump the process: so the process must neither stand, nor die with the program. */
static void an_orphan_stays_here(void **state)
{
	struct kit *kit = *state;

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	orphan(kit);
	assert_int_equal(guard_on(&kit->guard, &kit->err), 0);
	assert_false(in_group(&kit->guard.group, others->pid));
	assert_true(counting_stands(&kit->program));
	assert_true(other_runs());
	assert_int_equal(guard_kill(&kit->guard, &kit->err), 0);
	waitpid(kit->program.pid, NULL, 0);
	assert_int_equal(guard_wait_dead(&kit->guard, &kit->err), 0);
	assert_true(other_runs());
	guard_forget(&kit->guard);
	assert_false(cgroup_exists(&kit->guard.group));
}

static void a_tree_stands_and_dies(void **state)
{
	struct kit *kit = *state;

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	family_have(&kit->program, SIGUSR1);
	assert_int_equal(guard_on(&kit->guard, &kit->err), 0);
	assert_true(other_stands());
	assert_int_equal(guard_off(&kit->guard, &kit->err), 0);
	assert_true(other_runs());
	assert_int_equal(guard_on(&kit->guard, &kit->err), 0);
	assert_int_equal(guard_kill(&kit->guard, &kit->err), 0);
	waitpid(kit->program.pid, NULL, 0);
	assert_int_equal(guard_wait_dead(&kit->guard, &kit->err), 0);
	assert_true(other_stands());
}

/* The threads of a process go in and out although its first thread has ended. */
static void a_process_without_its_first_thread(void **state)
{
	struct kit *kit = *state;

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	family_have(&kit->program, SIGUSR2);
	assert_int_equal(guard_on(&kit->guard, &kit->err), 0);
	assert_true(other_stands());
	assert_int_equal(guard_off(&kit->guard, &kit->err), 0);
	assert_false(cgroup_exists(&kit->guard.group));
	assert_true(other_runs());
}

/* The guard puts all processes back into one group: of another one a process would be lost to it. */
static void a_process_in_another_group(void **state)
{
	struct kit *kit = *state;
	struct cgroup elsewhere = kit->guard.group;

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	family_have(&kit->program, SIGUSR1);
	strcat(elsewhere.dir, "-elsewhere");
	assert_int_equal(cgroup_make(&elsewhere, &kit->err), 0);
	assert_int_equal(cgroup_add(&elsewhere, others->pid), 0);
	assert_int_equal(guard_on(&kit->guard, &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_true(in_group(&elsewhere, others->pid));
	assert_true(counting_runs(&kit->program));
	assert_true(other_runs());
	assert_false(cgroup_exists(&kit->guard.group));
	assert_int_equal(cgroup_empty(&elsewhere), 0);
	assert_int_equal(cgroup_remove(&elsewhere, LATER_MS), 0);
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(an_orphan_stays_here), KIT_TEST(a_tree_stands_and_dies),
		KIT_TEST(a_process_without_its_first_thread), KIT_TEST(a_process_in_another_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
