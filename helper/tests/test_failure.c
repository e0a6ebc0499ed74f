// SPDX-License-Identifier: GPL-2.0
/* The first failure of an end counts, ends what blocks, and is called on once. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>
#include "session/failure.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"

#define LATER_MS	30000

/**
 * struct bench - @cancelled, @failed: how often the hooks were called
 * @committed: as the hook was told
 * @flag: nobody sets it
 */
struct bench {
	struct mailbox box;
	struct failure failure;
	int cancelled, failed;
	bool committed, flag;
	struct error err;
};

/* The mailbox's lock is held: another thread would wait for it for ever. */
static void cancel(void *ctx)
{
	struct bench *bench = ctx;

	assert_int_not_equal(pthread_mutex_trylock(&bench->box.lock), 0);
	assert_int_equal(bench->failed, 0);
	bench->cancelled++;
}

/* It is not held: the hook may look at the failure. */
static void failed(void *ctx, const struct error *err, bool committed)
{
	struct bench *bench = ctx;
	struct error why = { 0 };

	assert_int_equal(mailbox_failed(&bench->box, &why), -1);
	assert_string_equal(why.what, err->what);
	bench->failed++;
	bench->committed = committed;
}

static const struct failure_hooks hooks = { .cancel = cancel, .failed = failed };

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	*state = bench;
	mailbox_init(&bench->box, "the other one");
	bench->failure = (struct failure){ .box = &bench->box, .hooks = &hooks, .ctx = bench };
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	mailbox_destroy(&bench->box);
	free(bench);
	return 0;
}

static const struct error first = { .code = CODE_TARGET, .what = "first" };
static const struct error later = { .code = CODE_CRIU, .what = "later" };

static void the_first_one_counts(void **state)
{
	struct bench *bench = *state;

	failure_raise(&bench->failure, &first);
	failure_raise(&bench->failure, &later);
	/* COMMIT is not recorded: the caller has nothing more to do */
	assert_true(failure_raise_unless_committed(&bench->failure, &later, true));
	assert_int_equal(mailbox_failed(&bench->box, &bench->err), -1);
	assert_string_equal(bench->err.what, "first");
	assert_int_equal(bench->cancelled, 1);
	assert_int_equal(bench->failed, 1);
	assert_false(bench->committed);
}

static void after_commit_it_undoes_nothing(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &bench->err), 0);
	assert_false(failure_raise_unless_committed(&bench->failure, &first, true));
	assert_int_equal(mailbox_failed(&bench->box, &bench->err), 0);
	assert_int_equal(bench->cancelled + bench->failed, 0);
	assert_true(failure_raise_unless_committed(&bench->failure, &later, false));
	assert_int_equal(mailbox_failed(&bench->box, &bench->err), -1);
	assert_string_equal(bench->err.what, "later");
	assert_int_equal(bench->failed, 1);
	assert_true(bench->committed);
}

static void *raise_it(void *arg)
{
	struct bench *bench = arg;

	failure_raise(&bench->failure, &first);
	return NULL;
}

static void whoever_waits_is_woken(void **state)
{
	struct bench *bench = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, raise_it, bench), 0);
	assert_int_equal(mailbox_wait(&bench->box, &bench->flag, LATER_MS, &bench->err), -1);
	assert_string_equal(bench->err.what, "first");
	pthread_join(thread, NULL);
}

/* Messages come in order, and the end of them is a failure: a waiter has the message first. */
static void the_end_of_messages_is_a_failure(void **state)
{
	struct bench *bench = *state;
	struct control *source, *dest;
	Migrate__Control *msg;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	source = control_new(CONN(fd[0]), COURSE_SOURCE, &bench->err);
	dest = control_new(CONN(fd[1]), COURSE_DEST, &bench->err);
	assert_int_equal(walk_to(source, dest, PHASE_STARTED, &bench->err), 0);
	assert_int_equal(walk_send(dest, MIGRATE__CONTROL__BODY_DONE, &bench->err), 0);
	control_close(dest);
	failure_receive(&bench->failure, source);
	assert_int_equal(bench->failed, 1);
	msg = mailbox_expect(&bench->box, MIGRATE__CONTROL__BODY_DONE, LATER_MS, &bench->err);
	assert_non_null(msg);
	migrate__control__free_unpacked(msg, NULL);
	assert_null(mailbox_next(&bench->box, LATER_MS, &bench->err));
	assert_int_equal(bench->err.code, CODE_NETWORK);
	assert_true(bench->box.hung_up);
	control_close(source);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(the_first_one_counts), BENCH_TEST(after_commit_it_undoes_nothing),
		BENCH_TEST(whoever_waits_is_woken), BENCH_TEST(the_end_of_messages_is_a_failure),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
