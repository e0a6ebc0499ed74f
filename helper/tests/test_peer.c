// SPDX-License-Identifier: GPL-2.0
/* At the destination a message that was received counts before a failure that came later. */
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/peer.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"

#define LATER_MS	10000

static atomic_uint cancelled, gave_up;

static void cancel(void *ctx)
{
	atomic_fetch_add(&cancelled, 1);
}

static void give_up(void *ctx)
{
	atomic_fetch_add(&gave_up, 1);
}

static const struct peer_hooks hooks = { .cancel = cancel, .failed = give_up };

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

static bool dest_has_failed(struct peer *peer)
{
	struct error ignored = { 0 };

	for (int ms = 0; ms < LATER_MS; ms++) {
		if (mailbox_failed(&peer->box, &ignored))
			return true;
		usleep(1000);
	}
	return false;
}

/* The destination, with a source that says @body as its last word and is killed. */
static struct peer *dest_hears_last(enum course_phase phase, Migrate__Control__BodyCase body)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	struct error err = { 0 };
	struct control *source;

	peer_init(peer, &hooks);
	both_ends(&source, &peer->ctl);
	assert_int_equal(walk_to(source, peer->ctl, phase, &err), 0);
	assert_int_equal(walk_send(source, body, &err), 0);
	assert_int_equal(peer_start(peer, &err), 0);
	control_close(source);
	/* later than the failure, so that the order in which both came does not matter */
	assert_true(dest_has_failed(peer));
	return peer;
}

static void dest_free(struct peer *peer)
{
	mailbox_close(&peer->box);
	control_shutdown(peer->ctl);
	pthread_join(peer->thread, NULL);
	control_close(peer->ctl);
	free(peer);
}

static void commit_counts(void **state)
{
	struct peer *peer = dest_hears_last(PHASE_READY, MIGRATE__CONTROL__BODY_COMMIT);
	struct error err = { 0 };
	Migrate__Control *msg;

	msg = mailbox_expect(&peer->box, MIGRATE__CONTROL__BODY_COMMIT, LATER_MS, &err);
	assert_non_null(msg);
	migrate__control__free_unpacked(msg, NULL);
	/* the link is gone, and that undoes nothing */
	assert_int_equal(peer_commit(peer, &err), 0);
	assert_true(mailbox_is_committed(&peer->box));
	assert_null(mailbox_next(&peer->box, LATER_MS, &err));
	assert_int_equal(err.code, CODE_NETWORK);
	dest_free(peer);
}

static void a_link_without_commit_is_lost(void **state)
{
	struct peer *peer = dest_hears_last(PHASE_FROZEN, MIGRATE__CONTROL__BODY_RESTORE_GO);
	struct error err = { 0 };
	Migrate__Control *msg = mailbox_next(&peer->box, LATER_MS, &err);

	assert_non_null(msg);
	migrate__control__free_unpacked(msg, NULL);
	assert_null(mailbox_expect(&peer->box, MIGRATE__CONTROL__BODY_COMMIT, LATER_MS, &err));
	assert_int_equal(err.code, CODE_NETWORK);
	dest_free(peer);
}

/* What is dead here cannot be started: then the source has to hear that nothing ran. */
static void dead_tasks_are_not_committed(void **state)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	struct error dead = { .code = CODE_TARGET, .what = "killed" }, err = { 0 };

	peer_init(peer, &hooks);
	peer_fail(peer, &dead);
	assert_int_equal(peer_commit(peer, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
	assert_false(mailbox_is_committed(&peer->box));
	free(peer);
}

/* The first failure ends the restore and the waiting for pages, and later ones do not; nor after COMMIT. */
static void the_first_failure_ends_all(void **state)
{
	struct error first = { .code = CODE_TARGET, .what = "first" }, later = { .code = CODE_CRIU };
	struct peer *peer = calloc(1, sizeof(*peer));
	struct error err = { 0 };

	atomic_store(&cancelled, 0);
	atomic_store(&gave_up, 0);
	peer_init(peer, &hooks);
	peer_fail(peer, &first);
	peer_fail(peer, &later);
	assert_int_equal(mailbox_failed(&peer->box, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
	assert_int_equal(atomic_load(&cancelled), 1);
	assert_int_equal(atomic_load(&gave_up), 1);
	mailbox_destroy(&peer->box);
	peer_init(peer, &hooks);
	assert_int_equal(peer_commit(peer, &err), 0);
	peer_fail(peer, &first);
	assert_int_equal(atomic_load(&gave_up), 1);
	mailbox_destroy(&peer->box);
	free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commit_counts),
		cmocka_unit_test(a_link_without_commit_is_lost),
		cmocka_unit_test(dead_tasks_are_not_committed),
		cmocka_unit_test(the_first_failure_ends_all),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
