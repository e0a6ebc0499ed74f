// SPDX-License-Identifier: GPL-2.0
/*
 * The guard's group holds the program and no other process while it is frozen, whatever the program does
 * from the moment in which it enters the group.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/io.h"
#include "os/proc.h"
#include "source/guard.h"
#include "tests/family.h"
#include "tests/in_group.h"
#include "tests/v1_group.h"

/** struct kit - @paused: a group around the program's that a test freezes */
struct kit {
	struct counting program;
	struct guard guard;
	struct cgroup paused;
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

	/* a killed process in the v1 freezer does not end */
	if (cgroup_exists(&kit->paused))
		cgroup_thaw(&kit->paused, &(struct error){ 0 });
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
	if (guard_on(&kit->guard, &kit->err))
		fail_msg("%s", kit->err.what);
	assert_true(other_stands());
	assert_int_equal(guard_off(&kit->guard, &kit->err), 0);
	assert_false(cgroup_exists(&kit->guard.group));
	assert_true(other_runs());
}

/* @name: below the group @parent. The group is made, with process @pid in it */
static struct cgroup group_with(enum cgroup_kind kind, const char *parent, const char *name, pid_t pid)
{
	struct error err = { 0 };
	struct cgroup group = { .kind = kind };

	snprintf(group.dir, sizeof(group.dir), "%s/%s", parent, name);
	assert_int_equal(cgroup_make(&group, &err), 0);
	assert_int_equal(cgroup_add(&group, pid), 0);
	return group;
}

static void group_end(const struct cgroup *group)
{
	/* its processes may not be reaped yet */
	assert_int_equal(cgroup_remove(group, LATER_MS), 0);
}

/* Each process stands in the guard's group, and goes back to the group that it was in. */
static void groups_below(struct kit *kit)
{
	const struct cgroup *guarded = &kit->guard.group;
	struct cgroup outer, inner;
	char name[64];

	family_have(&kit->program, SIGUSR1);
	snprintf(name, sizeof(name), "test-guard-%d", getpid());
	outer = group_with(guarded->kind, guarded->home, name, others->parent);
	inner = group_with(guarded->kind, outer.dir, "inner", others->pid);
	assert_int_equal(guard_check_home(&kit->guard, others->pid, &kit->err), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(guard_on(&kit->guard, &kit->err), 0);
		assert_int_equal(in_group_count(guarded), 3);
		assert_false(in_group(&outer, others->pid) || in_group(&outer, others->parent));
		assert_true(counting_stands(&kit->program));
		assert_true(other_stands());
		assert_int_equal(guard_check_home(&kit->guard, others->pid, &kit->err), 0);
		/* as a manager does with a group that is empty */
		if (i)
			assert_int_equal(cgroup_remove(&outer, LATER_MS), 0);
		assert_int_equal(guard_off(&kit->guard, &kit->err), 0);
		assert_true(other_runs());
		assert_true(counting_runs(&kit->program));
		assert_false(cgroup_exists(guarded));
		assert_true(in_group(&inner, others->pid));
		assert_int_equal(in_group_count(&inner), 1);
		assert_true(in_group(&outer, others->parent));
		assert_int_equal(in_group_count(&outer), 2);
	}
	kill(others->pid, SIGKILL);
	kill(others->parent, SIGKILL);
	group_end(&outer);
}

static void processes_in_groups_below(void **state)
{
	struct kit *kit = *state;

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	groups_below(kit);
}

static void processes_in_groups_below_of_v1(void **state)
{
	struct kit *kit = *state;
	char name[64];

	snprintf(name, sizeof(name), "migrate-helper-test-%d", kit->program.pid);
	if (!v1_group_plan(&kit->guard.group, kit->program.pid, name)) {
		print_message("this needs the freezer of cgroup v1\n");
		skip();
	}
	groups_below(kit);
}

/* Threads of one process may be in several groups then, and the process would come back in one. */
static void a_group_with_threads_is_refused(void **state)
{
	struct kit *kit = *state;
	struct cgroup outer, inner = { .kind = CGROUP_V2 };
	char name[64], path[sizeof(inner.dir) + 16];

	if (kit->guard.group.kind != CGROUP_V2)
		skip();
	family_have(&kit->program, SIGUSR1);
	snprintf(name, sizeof(name), "test-guard-%d", getpid());
	outer = group_with(CGROUP_V2, kit->guard.group.home, name, others->pid);
	assert_int_equal(guard_check_home(&kit->guard, others->pid, &kit->err), 0);
	snprintf(inner.dir, sizeof(inner.dir), "%.4000s/inner", outer.dir);
	assert_int_equal(cgroup_make(&inner, &kit->err), 0);
	snprintf(path, sizeof(path), "%s/cgroup.type", inner.dir);
	assert_int_equal(io_write_text(path, "threaded"), 0);
	assert_int_equal(guard_check_home(&kit->guard, others->pid, &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_non_null(strstr(kit->err.what, "which is domain threaded"));
	kill(others->pid, SIGKILL);
	group_end(&outer);
}

/* All die with the root, wherever they were. */
static void groups_below_are_killed(void **state)
{
	struct kit *kit = *state;
	struct cgroup outer;
	char name[64];

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	family_have(&kit->program, SIGUSR1);
	snprintf(name, sizeof(name), "test-guard-%d", getpid());
	outer = group_with(kit->guard.group.kind, kit->guard.group.home, name, others->pid);
	assert_int_equal(guard_on(&kit->guard, &kit->err), 0);
	assert_int_equal(guard_kill(&kit->guard, &kit->err), 0);
	waitpid(kit->program.pid, NULL, 0);
	assert_int_equal(guard_wait_dead(&kit->guard, &kit->err), 0);
	assert_true(other_stands());
	guard_forget(&kit->guard);
	assert_false(cgroup_exists(&kit->guard.group));
	group_end(&outer);
}

/* It would run from the moment it is in the guard's group on. */
static void a_frozen_group_is_refused(void **state)
{
	struct kit *kit = *state;
	struct cgroup outer;
	char name[64];

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	family_have(&kit->program, SIGUSR1);
	snprintf(name, sizeof(name), "test-guard-%d-frozen", getpid());
	outer = group_with(kit->guard.group.kind, kit->guard.group.home, name, others->pid);
	assert_int_equal(guard_check_home(&kit->guard, others->pid, &kit->err), 0);
	assert_int_equal(cgroup_freeze(&outer, &kit->err), 0);
	assert_int_equal(guard_check_home(&kit->guard, others->pid, &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_non_null(strstr(kit->err.what, "frozen"));
	assert_int_equal(cgroup_thaw(&outer, &(struct error){ 0 }), 0);
	kill(others->pid, SIGKILL);
	group_end(&outer);
}

static void plan_again(struct kit *kit)
{
	char id[32];

	close(kit->guard.pidfd);
	snprintf(id, sizeof(id), "test-%d", kit->program.pid);
	assert_int_equal(guard_plan(&kit->guard, kit->program.pid, false, id, &kit->err), 0);
}

static void expect_refused_frozen(struct kit *kit, int ret)
{
	assert_int_equal(ret, -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_non_null(strstr(kit->err.what, "frozen"));
	memset(&kit->err, 0, sizeof(kit->err));
}

/*
 * Frozen by a person, by the group of the root or by one above it: CRIU's code would never run in the program.
 * @v1: of the freezer's hierarchy
 */
static void a_frozen_home(struct kit *kit, bool v1)
{
	struct cgroup outer, own;
	char name[64];

	snprintf(name, sizeof(name), "test-guard-%d-paused", getpid());
	outer = group_with(kit->guard.group.kind, kit->guard.group.home, name, kit->program.pid);
	kit->paused = outer;
	own = group_with(kit->guard.group.kind, outer.dir, "inner", kit->program.pid);
	if (v1)
		assert_true(v1_group_plan(&kit->guard.group, kit->program.pid, "migrate-helper-test"));
	else
		plan_again(kit);
	assert_int_equal(guard_check_home(&kit->guard, kit->program.pid, &kit->err), 0);
	assert_int_equal(cgroup_freeze(&outer, &kit->err), 0);
	expect_refused_frozen(kit, guard_check_home(&kit->guard, kit->program.pid, &kit->err));
	expect_refused_frozen(kit, guard_enter(&kit->guard, &kit->err));
	expect_refused_frozen(kit, guard_on(&kit->guard, &kit->err));
	assert_false(cgroup_exists(&kit->guard.group));
	assert_true(in_group(&own, kit->program.pid));
	assert_int_equal(cgroup_thaw(&outer, &kit->err), 0);
	assert_true(counting_runs(&kit->program));
	/* in the moment between the entry and the freeze */
	assert_int_equal(guard_enter(&kit->guard, &kit->err), 0);
	assert_int_equal(cgroup_freeze(&outer, &kit->err), 0);
	expect_refused_frozen(kit, guard_on(&kit->guard, &kit->err));
	assert_int_equal(cgroup_thaw(&outer, &kit->err), 0);
	assert_true(in_group(&own, kit->program.pid));
	assert_true(counting_runs(&kit->program));
	kill(kit->program.pid, SIGKILL);
	group_end(&outer);
}

static void a_frozen_home_is_refused(void **state)
{
	struct kit *kit = *state;

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	a_frozen_home(kit, kit->guard.group.kind == CGROUP_V1);
}

static void a_frozen_home_of_v1_is_refused(void **state)
{
	struct kit *kit = *state;

	if (!v1_group_plan(&kit->guard.group, kit->program.pid, "migrate-helper-test")) {
		print_message("this needs the freezer of cgroup v1\n");
		skip();
	}
	a_frozen_home(kit, true);
}

/* Two migrations of one program: the second one would let run what the first one has frozen. */
static void another_migration_has_it(void **state)
{
	struct kit *kit = *state;
	struct guard first, late;
	char id[40];

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	snprintf(id, sizeof(id), "%032x", kit->program.pid);
	assert_int_equal(guard_plan(&first, kit->program.pid, false, id, &kit->err), 0);
	/* one that stands would be refused for that */
	assert_int_equal(guard_enter(&first, &kit->err), 0);
	/* planned before, and after */
	assert_int_equal(guard_enter(&kit->guard, &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_non_null(strstr(kit->err.what, "migrat"));
	memset(&kit->err, 0, sizeof(kit->err));
	assert_int_equal(guard_on(&first, &kit->err), 0);
	assert_int_equal(guard_enter(&kit->guard, &kit->err), -1);
	memset(&kit->err, 0, sizeof(kit->err));
	snprintf(id, sizeof(id), "%032x", kit->program.pid + 1);
	assert_int_equal(guard_plan(&late, kit->program.pid, false, id, &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_true(in_group(&first.group, kit->program.pid));
	assert_true(counting_stands(&kit->program));
	memset(&kit->err, 0, sizeof(kit->err));
	assert_int_equal(guard_off(&first, &kit->err), 0);
	guard_close(&first);
	assert_true(counting_runs(&kit->program));
}

/* A signal to the root in place of the group would let its children run on. */
static void a_group_that_cannot_be_made(void **state)
{
	struct kit *kit = *state;
	struct guard without;

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	without = kit->guard;
	strcpy(without.group.dir, "/proc/no-group");
	assert_int_equal(guard_enter(&without, &kit->err), -1);
	assert_int_equal(guard_on(&without, &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_NOT_READY);
	assert_false(without.signalled);
	assert_true(counting_runs(&kit->program));
	memset(&kit->err, 0, sizeof(kit->err));
}

/* Beside the root's group: a keeper that looks after that one would take it for left. */
static void a_process_in_another_group(void **state)
{
	struct kit *kit = *state;
	struct cgroup own, elsewhere;
	char name[64], home[PATH_MAX];

	if (kit->guard.group.kind == CGROUP_NONE)
		skip();
	family_have(&kit->program, SIGUSR1);
	strcpy(home, kit->guard.group.home);
	snprintf(name, sizeof(name), "test-guard-%d", getpid());
	own = group_with(kit->guard.group.kind, home, name, kit->program.pid);
	strcat(name, "-elsewhere");
	elsewhere = group_with(kit->guard.group.kind, home, name, others->pid);
	close(kit->guard.pidfd);
	snprintf(name, sizeof(name), "test-%d", kit->program.pid);
	assert_int_equal(guard_plan(&kit->guard, kit->program.pid, false, name, &kit->err), 0);
	assert_int_equal(guard_on(&kit->guard, &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_REFUSED);
	assert_true(in_group(&elsewhere, others->pid));
	assert_true(in_group(&own, kit->program.pid));
	assert_true(counting_runs(&kit->program));
	assert_true(other_runs());
	assert_false(cgroup_exists(&kit->guard.group));
	kill(others->pid, SIGKILL);
	group_end(&elsewhere);
	kill(kit->program.pid, SIGKILL);
	group_end(&own);
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(an_orphan_stays_here), KIT_TEST(a_tree_stands_and_dies),
		KIT_TEST(a_process_without_its_first_thread), KIT_TEST(a_process_in_another_group),
		KIT_TEST(processes_in_groups_below), KIT_TEST(processes_in_groups_below_of_v1),
		KIT_TEST(groups_below_are_killed), KIT_TEST(a_group_with_threads_is_refused),
		KIT_TEST(a_frozen_group_is_refused), KIT_TEST(a_frozen_home_is_refused),
		KIT_TEST(a_frozen_home_of_v1_is_refused), KIT_TEST(another_migration_has_it),
		KIT_TEST(a_group_that_cannot_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
