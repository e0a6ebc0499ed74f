// SPDX-License-Identifier: GPL-2.0
/* From Ready to Started: what starts the program, and what does not. Needs root. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "os/cgroup_members.h"
#include "tests/commit_kit.h"

/* Nothing of the program has run: it stands, the source was told nothing, and all can be undone. */
static void expect_unstarted(enum exit_code code)
{
	struct parent_msg msg;

	assert_int_equal(join(), -1);
	assert_int_equal(kit->err.code, code);
	assert_true(kit->undo);
	assert_false(was_told(&msg));
	assert_int_equal(atomic_load(&kit->stopped), 0);
}

/* A source that hears Started may rely on it: the program runs, and the accepting process knows. */
static void started_is_said_last(void **state)
{
	struct parent_msg msg;

	run();
	assert_true(stands());
	say(MIGRATE__CONTROL__BODY_COMMIT);
	hear(MIGRATE__CONTROL__BODY_STARTED);
	assert_false(stands());
	assert_true(was_told(&msg));
	assert_false(msg.ended);
	hear(MIGRATE__CONTROL__BODY_DONE);
	assert_true(mailbox_is_committed(&kit->peer.box));
	say_killed();
	assert_int_equal(join(), CODE_OK);
	assert_false(kit->undo);
	assert_int_equal(atomic_load(&kit->stopped), 1);
	assert_false(program_has_ended(&kit->program, 0));
}

static void without_commit_nothing_starts(void **state)
{
	run();
	control_close(kit->source);
	kit->source = NULL;
	expect_unstarted(CODE_NETWORK);
	assert_true(stands());
}

static void what_cannot_run_is_not_started(void **state)
{
	const struct error dead = { .code = CODE_TARGET, .what = "this is a test" };

	peer_fail(&kit->peer, &dead);
	say(MIGRATE__CONTROL__BODY_COMMIT);
	mailbox_wait_message(&kit->peer.box, true, LATER_MS);
	run();
	expect_unstarted(CODE_TARGET);
	assert_true(stands());
}

/* It was given up at the source: a COMMIT that came counts, whatever became of the link. */
static void a_commit_before_a_lost_link_counts(void **state)
{
	say(MIGRATE__CONTROL__BODY_COMMIT);
	control_close(kit->source);
	kit->source = NULL;
	mailbox_wait_failure(&kit->peer.box, LATER_MS);
	run();
	/* all pages are here: what is not known is whether the source has killed its own */
	assert_int_equal(join(), CODE_DOUBT);
	assert_false(kit->undo);
	assert_false(stands());
	assert_false(program_has_ended(&kit->program, 0));
}

static void dead_tasks_are_not_started(void **state)
{
	pid_t *pids;
	size_t nr;

	assert_int_equal(cgroup_pids(&kit->program.group, &pids, &nr, &kit->err), 0);
	assert_int_equal(nr, 1);
	kill(pids[0], SIGKILL);
	free(pids);
	run();
	say(MIGRATE__CONTROL__BODY_COMMIT);
	expect_unstarted(CODE_TARGET);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(started_is_said_last, set_up_whole, tear_down),
		cmocka_unit_test_setup_teardown(without_commit_nothing_starts, set_up_whole,
						tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_run_is_not_started, set_up_whole,
						tear_down),
		cmocka_unit_test_setup_teardown(a_commit_before_a_lost_link_counts, set_up_whole,
						tear_down),
		cmocka_unit_test_setup_teardown(dead_tasks_are_not_started, set_up_whole,
						tear_down),
	};

	if (argc == 4 && !strcmp(argv[2], "swrk"))
		_exit(fake_criu(atoi(argv[3])));
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, have_criu, drop_criu);
}
