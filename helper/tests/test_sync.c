// SPDX-License-Identifier: GPL-2.0
/* A message that was received counts before a failure that came later, on both ends. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "source/outgoing.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"

#define LATER_MS	10000

static void both_ends(struct control **source, struct control **dest)
{
	struct error err = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	*source = control_new(CONN(fd[0]), COURSE_SOURCE, &err);
	*dest = control_new(CONN(fd[1]), COURSE_DEST, &err);
	assert_non_null(*source);
	assert_non_null(*dest);
}

/* The destination's end of urgent. */
static int urgent_peer;

static struct outgoing *source_new(void)
{
	static struct migrate_options opts = { .pid = 1, .max_frozen_s = 7 };
	struct outgoing *out = calloc(1, sizeof(*out));
	struct error err = { 0 };
	int pair[2];

	out->opts = &opts;
	out->memory_conn = CONN_NONE;
	assert_int_equal(outgoing_sync_init(out, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	out->urgent_conn = (struct conn){ .fd = pair[0] };
	urgent_peer = pair[1];
	return out;
}

static void keeper_new(struct outgoing *out)
{
	struct record *record = calloc(1, sizeof(*record));
	struct error err = { 0 };

	record->guard.pid = getpid();
	record->guard.pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	out->keeper = source_keeper_start(record, "/nowhere/at/all", &err);
	assert_non_null(out->keeper);
	close(record->guard.pidfd);
	free(record);
}

static void source_free(struct outgoing *out)
{
	outgoing_stop_threads(out);
	source_keeper_end(out->keeper, false);
	control_close(out->ctl);
	conn_close(&out->urgent_conn);
	close(urgent_peer);
	close(out->sync.kick);
	close(out->sync.signals);
	free(out);
}

static void done_counts(void **state)
{
	struct outgoing *out = source_new();
	struct error err = { 0 }, failed = { 0 };
	struct control *dest;
	Migrate__Control *msg;

	both_ends(&out->ctl, &dest);
	assert_int_equal(walk_to(out->ctl, dest, PHASE_STARTED, &err), 0);
	assert_int_equal(walk_send(dest, MIGRATE__CONTROL__BODY_DONE, &err), 0);
	assert_int_equal(outgoing_start_threads(out, outgoing_urgent_run, &err), 0);
	control_close(dest);
	for (int ms = 0; ms < LATER_MS && !mailbox_failed(&out->box, &failed); ms++)
		usleep(1000);
	assert_true(error_is_set(&failed));
	msg = mailbox_expect(&out->box, MIGRATE__CONTROL__BODY_DONE, LATER_MS, &err);
	assert_non_null(msg);
	migrate__control__free_unpacked(msg, NULL);
	source_free(out);
}

/* It would have the program killed here. */
static void done_before_commit(void **state)
{
	struct outgoing *out = source_new();
	struct error err = { 0 };
	/* field 16 of Control, with no fields of its own but those that are required */
	uint8_t done[] = { 15, 0, 0, 0, 0x82, 0x01, 12,
			   8, 0, 16, 0, 24, 0, 32, 0, 40, 0, 48, 0 };
	struct control *dest;

	both_ends(&out->ctl, &dest);
	assert_int_equal(walk_to(out->ctl, dest, PHASE_READY, &err), 0);
	/* past the table of the end that sends */
	assert_int_equal(conn_write(CONN(control_fd(dest)), done, sizeof(done), 0, &err), 0);
	assert_int_equal(outgoing_start_threads(out, outgoing_urgent_run, &err), 0);
	assert_null(mailbox_next(&out->box, LATER_MS, &err));
	assert_int_equal(err.code, CODE_PEER);
	control_close(dest);
	source_free(out);
}

/* Heartbeats alone do not keep the program frozen. */
static void frozen_has_a_limit(void **state)
{
	struct outgoing *out = source_new();
	struct error err = { 0 };
	struct control *dest;

	both_ends(&out->ctl, &dest);
	assert_int_equal(walk_to(out->ctl, dest, PHASE_RESTORE, &err), 0);
	assert_int_equal(outgoing_start_threads(out, outgoing_urgent_run, &err), 0);
	keeper_new(out);
	outgoing_limit(out, clock_now_ns() + 300 * 1000000UL);
	assert_true(outgoing_left_ms(out) > 0);
	assert_int_equal(outgoing_start_watch(out, &err), 0);
	assert_null(mailbox_next(&out->box, LATER_MS, &err));
	assert_int_equal(err.code, CODE_ABORTED);
	assert_non_null(strstr(err.what, "7 s"));
	control_close(dest);
	source_free(out);
}

/* Once COMMIT is recorded nothing is given up by the clock. */
static void commit_ends_the_limit(void **state)
{
	struct outgoing *out = source_new();
	struct error err = { 0 };
	struct control *dest;

	both_ends(&out->ctl, &dest);
	assert_int_equal(walk_to(out->ctl, dest, PHASE_READY, &err), 0);
	assert_int_equal(outgoing_start_threads(out, outgoing_urgent_run, &err), 0);
	assert_int_equal(outgoing_commit(out, &err), 0);
	keeper_new(out);
	outgoing_limit(out, clock_now_ns() + 100 * 1000000UL);
	assert_int_equal(outgoing_start_watch(out, &err), 0);
	assert_null(mailbox_next(&out->box, 600, &err));
	assert_int_equal(err.code, CODE_NETWORK);
	assert_int_equal(mailbox_failed(&out->box, &err), 0);
	control_close(dest);
	source_free(out);
}

struct late_word {
	struct control *dest;
	bool unstarted;
};

static void *say_late(void *arg)
{
	struct late_word *word = arg;
	struct error err = { .code = CODE_INTERNAL, .what = "killed" };

	usleep(300000);
	if (word->unstarted)
		control_send_abort(word->dest, &err, true);
	else
		walk_send(word->dest, MIGRATE__CONTROL__BODY_STARTED, &err);
	return NULL;
}

/* After COMMIT another connection is lost first, and then the destination says what became of it. */
static void verdict(bool unstarted)
{
	struct outgoing *out = source_new();
	struct late_word word = { .unstarted = unstarted };
	struct error lost = { .code = CODE_NETWORK, .what = "link lost" }, err = { 0 };
	Migrate__Control *msg;
	pthread_t thread;

	both_ends(&out->ctl, &word.dest);
	assert_int_equal(walk_to(out->ctl, word.dest, PHASE_COMMITTED, &err), 0);
	assert_int_equal(outgoing_commit(out, &err), 0);
	assert_int_equal(outgoing_start_threads(out, outgoing_urgent_run, &err), 0);
	outgoing_fail(out, &lost);
	pthread_create(&thread, NULL, say_late, &word);
	msg = outgoing_verdict(out, &err);
	assert_true(!msg == unstarted);
	assert_true(control_is_unstarted(out->ctl) == unstarted);
	migrate__control__free_unpacked(msg, NULL);
	pthread_join(thread, NULL);
	control_close(word.dest);
	source_free(out);
}

/* A destination whose keeper is stopped, and whose helper is dead, still has control open. */
static void a_closed_urgent_connection_is_a_failure(void **state)
{
	struct outgoing *out = source_new();
	struct error err = { 0 };
	struct control *dest;

	both_ends(&out->ctl, &dest);
	assert_int_equal(walk_to(out->ctl, dest, PHASE_COMMITTED, &err), 0);
	assert_int_equal(outgoing_commit(out, &err), 0);
	assert_int_equal(outgoing_start_threads(out, outgoing_urgent_run, &err), 0);
	shutdown(urgent_peer, SHUT_RDWR);
	mailbox_wait_failure(&out->box, LATER_MS);
	assert_int_equal(mailbox_failed(&out->box, &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	control_close(dest);
	source_free(out);
}

static void unstarted_is_waited_for(void **state)
{
	verdict(true);
}

static void started_is_waited_for(void **state)
{
	verdict(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(done_counts),
		cmocka_unit_test(done_before_commit),
		cmocka_unit_test(frozen_has_a_limit),
		cmocka_unit_test(commit_ends_the_limit),
		cmocka_unit_test(a_closed_urgent_connection_is_a_failure),
		cmocka_unit_test(unstarted_is_waited_for),
		cmocka_unit_test(started_is_waited_for),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
