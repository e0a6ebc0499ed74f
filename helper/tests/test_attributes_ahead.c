// SPDX-License-Identifier: GPL-2.0
/* What is read while CRIU dumps is that of the program, and counts only as long as the program stands. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/attributes_ahead.h"

#define SLACK_NS	123456

/** struct kit - a program that stands for one that is frozen */
struct kit {
	struct tree tree;
	struct cgroup group;
	struct attributes_ahead ahead;
	struct source_process *process;
	pid_t child;
	struct error err;
};

static struct kit *kit;

static void start_program(void)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	kit->child = fork();
	if (!kit->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_TIMERSLACK, SLACK_NS);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static int set_up(void **state)
{
	kit = calloc(1, sizeof(*kit));
	start_program();
	kit->process = tree_add(&kit->tree, kit->child, &kit->err);
	cgroup_plan(&kit->group, kit->child, CGROUP_BELOW, "ahead");
	return kit->process ? 0 : -1;
}

static int tear_down(void **state)
{
	attributes_ahead_end(&kit->ahead, false);
	kill(kit->child, SIGKILL);
	waitpid(kit->child, NULL, 0);
	tree_destroy(&kit->tree);
	free(kit);
	return 0;
}

static void need_group(void)
{
	if (kit->group.kind == CGROUP_NONE)
		skip();
}

static void they_are_those_of_the_program(void **state)
{
	need_group();
	attributes_ahead_start(&kit->ahead, &kit->tree, &kit->group);
	attributes_ahead_end(&kit->ahead, true);
	assert_true(kit->process->attributes_read);
	assert_int_equal(kit->process->attributes.nr, 1);
	assert_int_equal(kit->process->attributes.threads[0].timer_slack_ns, SLACK_NS);
}

static void they_are_forgotten_when_it_runs(void **state)
{
	need_group();
	attributes_ahead_start(&kit->ahead, &kit->tree, &kit->group);
	attributes_ahead_end(&kit->ahead, false);
	assert_false(kit->process->attributes_read);
	assert_int_equal(kit->process->attributes.nr, 0);
}

/* RestoreGo reads those, and has the reason if that fails. */
static void what_cannot_be_read_is_left(void **state)
{
	kill(kit->child, SIGKILL);
	waitpid(kit->child, NULL, 0);
	attributes_ahead_start(&kit->ahead, &kit->tree, &kit->group);
	attributes_ahead_end(&kit->ahead, true);
	assert_false(kit->process->attributes_read);
}

static void an_end_without_a_beginning_is_nothing(void **state)
{
	attributes_ahead_end(&kit->ahead, true);
	attributes_ahead_end(&kit->ahead, false);
	assert_false(kit->process->attributes_read);
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(they_are_those_of_the_program), KIT_TEST(they_are_forgotten_when_it_runs),
		KIT_TEST(what_cannot_be_read_is_left), KIT_TEST(an_end_without_a_beginning_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
