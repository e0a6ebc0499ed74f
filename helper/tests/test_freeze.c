// SPDX-License-Identifier: GPL-2.0
/* The freeze and its undoing: whatever step fails, the program runs on as it was. */
#define _GNU_SOURCE
#include <sys/prctl.h>
#include "os/proc_tree.h"
#include "tests/freeze_kit.h"

static void have_child(int sig)
{
	pid_t parent = getpid();

	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static void begin(void)
{
	signal(SIGUSR1, have_child);
	setsid();
	close_range(0, ~0U, 0);
}

static void nothing_to_undo(void **state)
{
	expect_undone(true);
	assert_int_equal(kit->freeze.at_ns, 0);
}

/* @stands_first: the guard comes before CRIU */
static void held_and_undone(bool stands_first)
{
	assert_int_equal(freeze(stands_first, STEP_NONE, ACT_HOLD), 0);
	assert_int_equal(kit->gave_up, stands_first);
	assert_true(has_image("asked"));
	assert_true(has_record());
	assert_true(counting_stands(&kit->program));
	assert_false(has_image("let-go"));
	expect_undone(true);
	assert_true(has_image("let-go"));
}

static void a_freeze_is_undone(void **state)
{
	held_and_undone(false);
}

static void a_freeze_before_criu_is_undone(void **state)
{
	held_and_undone(true);
}

static void fails(bool stands_first, enum step step, enum act act, enum exit_code code)
{
	assert_int_equal(freeze(stands_first, step, act), -1);
	assert_int_equal(kit->err.code, code);
	expect_undone(act != ACT_KEEPER);
}

static void settle_fails(void **state)
{
	fails(true, STEP_SETTLE, ACT_HOLD, CODE_TARGET);
	assert_false(has_image("asked"));
}

static void criu_does_not_start(void **state)
{
	unlinkat(kit->bin.fd, "criu", 0);
	file_write(kit->bin.fd, "criu", "", 0);
	assert_int_equal(freeze(false, STEP_NONE, ACT_HOLD), -1);
	expect_undone(true);
}

static void the_last_scan_fails(void **state)
{
	fails(true, STEP_SCAN, ACT_HOLD, CODE_TARGET);
	assert_false(kit->gave_up);
	assert_false(has_image("asked"));
}

static void giving_up_fails(void **state)
{
	fails(true, STEP_GIVE_UP, ACT_HOLD, CODE_TARGET);
	assert_false(has_image("asked"));
}

static void the_dump_fails(void **state)
{
	fails(false, STEP_NONE, ACT_FAIL, CODE_CRIU);
}

static void the_dump_fails_after_the_guard(void **state)
{
	fails(true, STEP_NONE, ACT_FAIL, CODE_CRIU);
}

static void criu_dies(void **state)
{
	fails(false, STEP_NONE, ACT_DIE, CODE_CRIU);
}

static void criu_dies_after_the_guard(void **state)
{
	fails(true, STEP_NONE, ACT_DIE, CODE_CRIU);
}

/* A destination that has failed ends a dump that runs. */
static void the_migration_has_failed(void **state)
{
	const struct error why = { .code = CODE_PEER, .what = "this is a test" };

	failure_raise(&kit->failure.first, &why);
	assert_int_equal(freeze(false, STEP_NONE, ACT_HOLD), -1);
	expect_undone(true);
}

static pid_t dying;

/* Its end has taken its memory, and /proc says so a moment later. */
static int on_scan_of_dying(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err)
{
	kill(dying, SIGKILL);
	return error_set(err, CODE_TARGET, NULL, "process %d has exited or called exec", dying);
}

static pid_t make_child(void)
{
	size_t nr = 0;
	pid_t *pids, child = 0;

	kill(kit->program.pid, SIGUSR1);
	for (int ms = 0; !child && ms < LATER_MS; ms++) {
		usleep(1000);
		assert_int_equal(proc_tree(kit->program.pid, &pids, &nr, &kit->err), 0);
		child = nr == 2 ? pids[1] : 0;
		free(pids);
	}
	return child;
}

/* Between two steps of its end a child looks alive, and its memory is gone. */
static void a_child_dies_when_the_program_stands(void **state)
{
	struct source_process *child;
	struct backend_ops ops;
	struct fake fake;

	dying = make_child();
	assert_true(dying);
	child = tree_add(&kit->tree, dying, &kit->err);
	assert_non_null(child);
	fake_init(&fake);
	ops = kit->ops;
	ops.scan = on_scan_of_dying;
	fake.backend.ops = &ops;
	fake.backend.stands_first = true;
	child->mm.backend = &fake.backend;
	child->mm.tracked = child->inspected = true;
	assert_int_equal(freeze(true, STEP_NONE, ACT_HOLD), 0);
	assert_true(child->gone);
	assert_true(counting_stands(&kit->program));
	expect_undone(true);
	child->mm.backend = NULL;
}

/* A child that began since the last round cannot be moved. */
static void a_child_is_refused(void **state)
{
	fails(false, STEP_NONE, ACT_FORKS, CODE_REFUSED);
	assert_true(has_image("let-go"));
}

static void the_keeper_dies(void **state)
{
	fails(false, STEP_NONE, ACT_KEEPER, CODE_INTERNAL);
	assert_true(has_image("let-go"));
}

static void the_keeper_dies_after_the_guard(void **state)
{
	fails(true, STEP_NONE, ACT_KEEPER, CODE_INTERNAL);
	assert_true(has_image("let-go"));
}

static void criu_dies_while_it_holds(void **state)
{
	fails(false, STEP_NONE, ACT_DIE_HELD, CODE_CRIU);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(nothing_to_undo), KIT_TEST(a_freeze_is_undone),
		KIT_TEST(a_freeze_before_criu_is_undone), KIT_TEST(settle_fails),
		KIT_TEST(criu_does_not_start), KIT_TEST(the_last_scan_fails),
		KIT_TEST(giving_up_fails), KIT_TEST(the_dump_fails),
		KIT_TEST(the_dump_fails_after_the_guard), KIT_TEST(criu_dies),
		KIT_TEST(criu_dies_after_the_guard), KIT_TEST(the_migration_has_failed),
		KIT_TEST(a_child_is_refused), KIT_TEST(a_child_dies_when_the_program_stands), KIT_TEST(the_keeper_dies),
		KIT_TEST(the_keeper_dies_after_the_guard), KIT_TEST(criu_dies_while_it_holds),
	};

	if (argc == 4 && !strcmp(argv[2], "swrk"))
		_exit(fake_criu(atoi(argv[3])));
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
