// SPDX-License-Identifier: GPL-2.0
/* The thread at the source that watches signals, processes and the clock, and ends a migration. */
#define _GNU_SOURCE
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "source/watch.h"

#define LATER_MS	10000
#define NOT_MS		300	/* for so long nothing may happen */

/* Each thing that is watched is a pipe: its end is the hang-up. */
struct bench {
	struct mailbox box;
	struct watch watch;
	int keeper[2], dump[2], target[2];
	atomic_bool late;
	/* under the lock of the mailbox */
	bool undoes, signalled;
	struct error why;
};

static bool on_fail(void *ctx, const struct error *err, bool undoes)
{
	struct bench *bench = ctx;
	enum mailbox_fault fault;

	mailbox_lock(&bench->box);
	fault = mailbox_fail_locked(&bench->box, err, undoes);
	if (fault == MAILBOX_FIRST) {
		bench->undoes = undoes;
		bench->why = *err;
	}
	pthread_cond_broadcast(&bench->box.changed);
	mailbox_unlock(&bench->box);
	return fault != MAILBOX_TOO_LATE;
}

static void on_too_long(void *ctx)
{
	struct bench *bench = ctx;

	atomic_store(&bench->late, true);
}

static void on_signal(void *ctx, const char *name)
{
	struct bench *bench = ctx;

	mailbox_set(&bench->box, &bench->signalled);
}

static const struct watch_hooks hooks = {
	.fail = on_fail, .too_long = on_too_long, .signal = on_signal,
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct watch_target target = { .pid = 4711, .events = POLLIN };
	struct error err = { 0 };

	*state = bench;
	mailbox_init(&bench->box, "the destination");
	if (pipe(bench->keeper) || pipe(bench->dump) || pipe(bench->target) ||
	    watch_init(&bench->watch, &bench->box, &err))
		return -1;
	target.fd = bench->target[0];
	bench->watch.hooks = &hooks;
	bench->watch.ctx = bench;
	bench->watch.max_frozen_s = 7;
	bench->watch.log = "/run/somewhere/dump.log";
	bench->watch.keeper_fd = bench->keeper[0];
	return watch_add_target(&bench->watch, &target, &err) || watch_start(&bench->watch, &err) ?
	       -1 : 0;
}

/* The other end of a pipe ends. */
static void end(int *pipe)
{
	close(pipe[1]);
	pipe[1] = -1;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	watch_destroy(&bench->watch);
	for (int i = 0; i < 2; i++) {
		close(bench->keeper[i]);
		close(bench->dump[i]);
		close(bench->target[i]);
	}
	mailbox_destroy(&bench->box);
	free(bench);
	return 0;
}

static enum exit_code failure(struct bench *bench, int timeout_ms)
{
	struct error ignored = { 0 };

	mailbox_wait_failure(&bench->box, timeout_ms);
	mailbox_failed(&bench->box, &ignored);
	return ignored.code;
}

static void the_program_ends(void **state)
{
	struct bench *bench = *state;

	end(bench->target);
	assert_int_equal(failure(bench, LATER_MS), CODE_TARGET);
	assert_true(bench->undoes);
	assert_non_null(strstr(bench->why.what, "4711"));
}

/* Its pages that were not sent are lost; those of other processes are not, and the links carry them. */
static void after_commit_its_end_is_no_failure(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &err), 0);
	end(bench->target);
	assert_int_equal(failure(bench, NOT_MS), CODE_OK);
	/* other things are still watched */
	kill(getpid(), SIGTERM);
	assert_int_equal(mailbox_wait(&bench->box, &bench->signalled, LATER_MS, &err), 0);
}

static void the_keeper_is_killed(void **state)
{
	struct bench *bench = *state;

	end(bench->keeper);
	assert_int_equal(failure(bench, LATER_MS), CODE_INTERNAL);
	assert_true(bench->undoes);
}

static void the_keeper_is_not_needed_after_commit(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &err), 0);
	end(bench->keeper);
	assert_int_equal(failure(bench, NOT_MS), CODE_OK);
}

static void criu_dies_while_it_holds(void **state)
{
	struct bench *bench = *state;

	watch_dump(&bench->watch, bench->dump[0]);
	end(bench->dump);
	assert_int_equal(failure(bench, LATER_MS), CODE_CRIU);
	assert_non_null(strstr(bench->why.hint, "/run/somewhere/dump.log"));
}

/* A CRIU that is let go of hangs up. */
static void criu_may_end_when_it_is_not_held(void **state)
{
	struct bench *bench = *state;

	watch_dump(&bench->watch, bench->dump[0]);
	watch_dump(&bench->watch, -1);
	end(bench->dump);
	assert_int_equal(failure(bench, NOT_MS), CODE_OK);
}

static void frozen_for_too_long(void **state)
{
	struct bench *bench = *state;

	watch_limit(&bench->watch, clock_now_ns() + 200 * 1000000UL);
	assert_true(watch_left_ms(&bench->watch) > 0);
	assert_int_equal(failure(bench, LATER_MS), CODE_ABORTED);
	assert_non_null(strstr(bench->why.what, "7 s"));
	/* the thread that waits for the destination's word is woken too */
	for (int ms = 0; ms < LATER_MS && !atomic_load(&bench->late); ms++)
		usleep(1000);
	assert_true(atomic_load(&bench->late));
	assert_int_equal(watch_left_ms(&bench->watch), 0);
}

static void no_limit_is_none(void **state)
{
	struct bench *bench = *state;

	watch_limit(&bench->watch, clock_now_ns() + 60 * 1000000000UL);
	watch_limit(&bench->watch, 0);
	assert_int_equal(watch_left_ms(&bench->watch), 0);
	assert_int_equal(failure(bench, NOT_MS), CODE_OK);
}

static void a_signal_is_told(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	kill(getpid(), SIGTERM);
	assert_int_equal(mailbox_wait(&bench->box, &bench->signalled, LATER_MS, &err), 0);
	assert_int_equal(failure(bench, 0), CODE_OK);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(the_program_ends), BENCH_TEST(after_commit_its_end_is_no_failure),
		BENCH_TEST(the_keeper_is_killed),
		BENCH_TEST(the_keeper_is_not_needed_after_commit),
		BENCH_TEST(criu_dies_while_it_holds),
		BENCH_TEST(criu_may_end_when_it_is_not_held), BENCH_TEST(frozen_for_too_long),
		BENCH_TEST(no_limit_is_none), BENCH_TEST(a_signal_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
