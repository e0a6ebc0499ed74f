// SPDX-License-Identifier: GPL-2.0
/* Messages and the first failure of one end, and which of them counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "session/mailbox.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"

#define SOON_MS	20
#define LATE_MS	10000

static const struct error lost = { .code = CODE_NETWORK, .what = "lost" };
static const struct error killed = { .code = CODE_TARGET, .what = "killed" };

struct pair {
	struct mailbox box;
	struct control *here, *there;
	pthread_t thread;
};

static void *receive_body(void *arg)
{
	struct pair *pair = arg;
	struct error err = { 0 };

	mailbox_receive(&pair->box, pair->here, &err);
	mailbox_hang_up(&pair->box);
	return NULL;
}

static void pair_open(struct pair *pair, enum course_phase phase)
{
	struct error err = { 0 };
	int fd[2];

	mailbox_init(&pair->box, "the source");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	pair->here = control_new(CONN(fd[0]), COURSE_DEST, &err);
	pair->there = control_new(CONN(fd[1]), COURSE_SOURCE, &err);
	assert_int_equal(walk_to(pair->there, pair->here, phase, &err), 0);
	pthread_create(&pair->thread, NULL, receive_body, pair);
}

static void pair_close(struct pair *pair)
{
	control_close(pair->there);
	mailbox_close(&pair->box);
	pthread_join(pair->thread, NULL);
	control_close(pair->here);
	mailbox_destroy(&pair->box);
}

static enum mailbox_fault fault(struct mailbox *box, const struct error *err, bool undoes)
{
	enum mailbox_fault done;

	mailbox_lock(box);
	done = mailbox_fail_locked(box, err, undoes);
	mailbox_unlock(box);
	return done;
}

static void a_message_counts_before_a_failure(void **state)
{
	struct error err = { 0 };
	Migrate__Control *msg;
	struct pair pair;

	pair_open(&pair, PHASE_READY);
	assert_int_equal(walk_send(pair.there, MIGRATE__CONTROL__BODY_COMMIT, &err), 0);
	assert_true(mailbox_wait_message(&pair.box, false, LATE_MS));
	assert_int_equal(fault(&pair.box, &lost, false), MAILBOX_FIRST);
	msg = mailbox_expect(&pair.box, MIGRATE__CONTROL__BODY_COMMIT, LATE_MS, &err);
	assert_non_null(msg);
	migrate__control__free_unpacked(msg, NULL);
	assert_null(mailbox_next(&pair.box, LATE_MS, &err));
	assert_string_equal(err.what, "lost");
	pair_close(&pair);
}

static void the_first_failure_counts(void **state)
{
	struct error err = { 0 };
	struct mailbox box;

	mailbox_init(&box, "the source");
	assert_int_equal(mailbox_failed(&box, &err), 0);
	assert_int_equal(fault(&box, &lost, false), MAILBOX_FIRST);
	assert_int_equal(fault(&box, &killed, false), MAILBOX_LATER);
	assert_int_equal(mailbox_failed(&box, &err), -1);
	assert_string_equal(err.what, "lost");
	/* nobody waits for what cannot come */
	assert_int_equal(mailbox_wait(&box, &box.hung_up, LATE_MS, &err), -1);
	mailbox_destroy(&box);
}

static void commit_comes_before_or_after(void **state)
{
	struct error err = { 0 };
	struct mailbox box;

	mailbox_init(&box, "the source");
	assert_int_equal(mailbox_commit(&box, CODE_OK, &err), 0);
	assert_int_equal(fault(&box, &killed, true), MAILBOX_TOO_LATE);
	assert_int_equal(mailbox_failed(&box, &err), 0);
	mailbox_uncommit(&box);
	assert_int_equal(fault(&box, &killed, true), MAILBOX_FIRST);
	assert_int_equal(mailbox_commit(&box, CODE_NETWORK, &err), -1);
	assert_false(mailbox_is_committed(&box));
	mailbox_destroy(&box);
	mailbox_init(&box, "the source");
	fault(&box, &lost, false);
	assert_int_equal(mailbox_commit(&box, CODE_OK, &err), -1);
	assert_int_equal(mailbox_commit(&box, CODE_NETWORK, &err), 0);
	mailbox_destroy(&box);
}

static void waits_end(void **state)
{
	struct error err = { 0 };
	struct mailbox box;
	bool flag = false;

	mailbox_init(&box, "the source");
	assert_int_equal(mailbox_wait(&box, &flag, SOON_MS, &err), 1);
	mailbox_set(&box, &flag);
	assert_int_equal(mailbox_wait(&box, &flag, LATE_MS, &err), 0);
	assert_false(mailbox_wait_message(&box, false, SOON_MS));
	assert_null(mailbox_next(&box, SOON_MS, &err));
	assert_string_equal(err.what, "nothing came from the source for 20 ms");
	memset(&err, 0, sizeof(err));
	mailbox_hang_up(&box);
	assert_null(mailbox_next(&box, -1, &err));
	assert_string_equal(err.what, "the source closed the connection");
	mailbox_destroy(&box);
}

/* A failure elsewhere, while the answer to COMMIT is on its way. */
static void a_message_is_waited_for_despite_a_failure(void **state)
{
	struct error err = { 0 };
	struct pair pair;

	pair_open(&pair, PHASE_READY);
	fault(&pair.box, &lost, false);
	assert_true(mailbox_wait_message(&pair.box, false, LATE_MS));
	assert_false(mailbox_wait_message(&pair.box, true, SOON_MS));
	assert_int_equal(walk_send(pair.there, MIGRATE__CONTROL__BODY_COMMIT, &err), 0);
	assert_true(mailbox_wait_message(&pair.box, true, LATE_MS));
	/* what nobody takes is freed */
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_counts_before_a_failure),
		cmocka_unit_test(the_first_failure_counts),
		cmocka_unit_test(commit_comes_before_or_after),
		cmocka_unit_test(waits_end),
		cmocka_unit_test(a_message_is_waited_for_despite_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
