// SPDX-License-Identifier: GPL-2.0
/* At the source a message that was received counts before a failure that came later. */
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
#include "source/failure.h"
#include "source/handover.h"
#include "source/keeper.h"
#include "source/threads.h"
#include "source/watch.h"
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

/** struct source - the parts of a source that share its threads; @urgent_peer: the other end */
struct source {
	struct mailbox box;
	struct link_set links;
	struct source_failure failure;
	struct watch watch;
	struct threads threads;
	struct tree tree;
	struct sender urgent;
	struct source_keeper *keeper;
	int urgent_peer;
};

static bool source_fail(void *ctx, const struct error *err, bool undoes)
{
	struct source *source = ctx;

	return failure_raise_unless_committed(&source->failure.first, err, undoes);
}

static void source_too_long(void *ctx)
{
	struct source *source = ctx;

	control_shutdown(source->links.ctl);
}

static const struct watch_hooks source_hooks = {
	.fail = source_fail, .too_long = source_too_long,
};

static struct source *source_new(void)
{
	struct source *source = calloc(1, sizeof(*source));
	struct error err = { 0 };
	int pair[2];

	mailbox_init(&source->box, "the destination");
	link_set_init(&source->links, 1);
	source_failure_init(&source->failure, &source->box);
	assert_int_equal(watch_init(&source->watch, &source->box, &err), 0);
	source->watch.hooks = &source_hooks;
	source->watch.ctx = source;
	source->watch.max_frozen_s = 7;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	source->links.urgent = (struct conn){ .fd = pair[0] };
	source->urgent_peer = pair[1];
	source->urgent.conn = &source->links.urgent;
	source->threads = (struct threads){
		.box = &source->box, .failure = &source->failure.first, .links = &source->links,
		.requests = { .tree = &source->tree, .sender = &source->urgent, .box = &source->box },
	};
	source_failure_connected(&source->failure, &source->links);
	return source;
}

static void keeper_new(struct source *source)
{
	struct record *record = calloc(1, sizeof(*record));
	struct error err = { 0 };

	record->guard.pid = getpid();
	record->guard.pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	source->keeper = source_keeper_start(record, "/nowhere/at/all", &err);
	assert_non_null(source->keeper);
	source->watch.keeper_fd = source_keeper_fd(source->keeper);
	close(record->guard.pidfd);
	free(record);
}

static void source_free(struct source *source)
{
	watch_destroy(&source->watch);
	threads_stop(&source->threads);
	source_keeper_end(source->keeper, false);
	link_set_close(&source->links);
	close(source->urgent_peer);
	mailbox_destroy(&source->box);
	free(source);
}

static void done_counts(void **state)
{
	struct source *source = source_new();
	struct error err = { 0 }, failed = { 0 };
	struct control *dest;
	Migrate__Control *msg;

	both_ends(&source->links.ctl, &dest);
	assert_int_equal(walk_to(source->links.ctl, dest, PHASE_STARTED, &err), 0);
	assert_int_equal(walk_send(dest, MIGRATE__CONTROL__BODY_DONE, &err), 0);
	assert_int_equal(threads_start(&source->threads, &err), 0);
	control_close(dest);
	for (int ms = 0; ms < LATER_MS && !mailbox_failed(&source->box, &failed); ms++)
		usleep(1000);
	assert_true(error_is_set(&failed));
	msg = mailbox_expect(&source->box, MIGRATE__CONTROL__BODY_DONE, LATER_MS, &err);
	assert_non_null(msg);
	migrate__control__free_unpacked(msg, NULL);
	source_free(source);
}

/* It would have the program killed here. */
static void done_before_commit(void **state)
{
	struct source *source = source_new();
	struct error err = { 0 };
	/* field 16 of Control, with no fields of its own but those that are required */
	uint8_t done[] = { 15, 0, 0, 0, 0x82, 0x01, 12,
			   8, 0, 16, 0, 24, 0, 32, 0, 40, 0, 48, 0 };
	struct control *dest;

	both_ends(&source->links.ctl, &dest);
	assert_int_equal(walk_to(source->links.ctl, dest, PHASE_READY, &err), 0);
	/* past the table of the end that sends */
	assert_int_equal(conn_write(CONN(control_link_fd(dest)), done, sizeof(done), 0, &err), 0);
	assert_int_equal(threads_start(&source->threads, &err), 0);
	assert_null(mailbox_next(&source->box, LATER_MS, &err));
	assert_int_equal(err.code, CODE_PEER);
	control_close(dest);
	source_free(source);
}

/* Heartbeats alone do not keep the program frozen. */
static void frozen_has_a_limit(void **state)
{
	struct source *source = source_new();
	struct error err = { 0 };
	struct control *dest;

	both_ends(&source->links.ctl, &dest);
	assert_int_equal(walk_to(source->links.ctl, dest, PHASE_RESTORE, &err), 0);
	assert_int_equal(threads_start(&source->threads, &err), 0);
	keeper_new(source);
	watch_limit(&source->watch, clock_now_ns() + 300 * 1000000UL);
	assert_true(watch_left_ms(&source->watch) > 0);
	assert_int_equal(watch_start(&source->watch, &err), 0);
	assert_null(mailbox_next(&source->box, LATER_MS, &err));
	assert_int_equal(err.code, CODE_ABORTED);
	assert_non_null(strstr(err.what, "7 s"));
	control_close(dest);
	source_free(source);
}

/* Once COMMIT is recorded nothing is given up by the clock. */
static void commit_ends_the_limit(void **state)
{
	struct source *source = source_new();
	struct error err = { 0 };
	struct control *dest;

	both_ends(&source->links.ctl, &dest);
	assert_int_equal(walk_to(source->links.ctl, dest, PHASE_READY, &err), 0);
	assert_int_equal(threads_start(&source->threads, &err), 0);
	assert_int_equal(mailbox_commit(&source->box, CODE_OK, &err), 0);
	keeper_new(source);
	watch_limit(&source->watch, clock_now_ns() + 100 * 1000000UL);
	assert_int_equal(watch_start(&source->watch, &err), 0);
	assert_null(mailbox_next(&source->box, 600, &err));
	assert_int_equal(err.code, CODE_NETWORK);
	assert_int_equal(mailbox_failed(&source->box, &err), 0);
	control_close(dest);
	source_free(source);
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
	struct source *source = source_new();
	struct late_word word = { .unstarted = unstarted };
	struct error lost = { .code = CODE_NETWORK, .what = "link lost" }, err = { 0 };
	Migrate__Control *msg;
	pthread_t thread;

	both_ends(&source->links.ctl, &word.dest);
	assert_int_equal(walk_to(source->links.ctl, word.dest, PHASE_COMMITTED, &err), 0);
	assert_int_equal(mailbox_commit(&source->box, CODE_OK, &err), 0);
	assert_int_equal(threads_start(&source->threads, &err), 0);
	failure_raise(&source->failure.first, &lost);
	pthread_create(&thread, NULL, say_late, &word);
	msg = handover_verdict(&source->box, &err);
	assert_true(!msg == unstarted);
	assert_true(control_is_unstarted(source->links.ctl) == unstarted);
	migrate__control__free_unpacked(msg, NULL);
	pthread_join(thread, NULL);
	control_close(word.dest);
	source_free(source);
}

/* A destination whose keeper is stopped, and whose helper is dead, still has control open. */
static void a_closed_urgent_connection_is_a_failure(void **state)
{
	struct source *source = source_new();
	struct error err = { 0 };
	struct control *dest;

	both_ends(&source->links.ctl, &dest);
	assert_int_equal(walk_to(source->links.ctl, dest, PHASE_COMMITTED, &err), 0);
	assert_int_equal(mailbox_commit(&source->box, CODE_OK, &err), 0);
	assert_int_equal(threads_start(&source->threads, &err), 0);
	shutdown(source->urgent_peer, SHUT_RDWR);
	mailbox_wait_failure(&source->box, LATER_MS);
	assert_int_equal(mailbox_failed(&source->box, &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	control_close(dest);
	source_free(source);
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
