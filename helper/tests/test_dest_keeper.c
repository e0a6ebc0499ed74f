// SPDX-License-Identifier: GPL-2.0
/* What the keeper holds, and what is left when a process dies before COMMIT: nothing. Needs root. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fdpass.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "tests/dest_keeper_kit.h"

#define HUNDREDS	300

static void test_holds(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int pair[2], handle = -1, signal = -1;
	char byte;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(keeper_hold(keeper, pair[1], &handle, &err), 0);
	assert_int_equal(handle, 0);
	close(pair[1]);
	/* no end of file as long as the keeper has the other end */
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(read(pair[0], &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(keeper_holds_all(keeper, &err), 0);
	assert_int_equal(read(pair[0], &byte, 1), -1);
	keeper_release(keeper, handle);
	/* its answer comes when the release is done */
	assert_int_equal(keeper_holds_all(keeper, &err), 0);
	assert_int_equal(read(pair[0], &byte, 1), 0);
	assert_int_equal(keeper_done(keeper, &signal, &err), 0);
	assert_int_equal(signal, 0);
	assert_false(dir_exists());
	keeper_free(keeper);
	close(pair[0]);
}

/* Nobody waits for each of them, and more are on their way than the socket has room for. */
static void test_holds_hundreds(void **state)
{
	struct keeper *keeper = start();
	int pairs[HUNDREDS], handles[HUNDREDS], signal;
	struct error err = { 0 };
	char byte;

	for (int i = 0; i < HUNDREDS; i++) {
		int pair[2];

		assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
		pairs[i] = pair[0];
		assert_int_equal(keeper_hold(keeper, pair[1], &handles[i], &err), 0);
		close(pair[1]);
	}
	for (int i = 0; i < HUNDREDS; i += 2)
		keeper_release(keeper, handles[i]);
	assert_int_equal(keeper_holds_all(keeper, &err), 0);
	for (int i = 0; i < HUNDREDS; i++)
		assert_int_equal(read(pairs[i], &byte, 1), i % 2 ? -1 : 0);
	assert_int_equal(keeper_done(keeper, &signal, &err), 0);
	for (int i = 0; i < HUNDREDS; i++) {
		assert_int_equal(read(pairs[i], &byte, 1), 0);
		close(pairs[i]);
	}
	keeper_free(keeper);
}

/* It finds no descriptor with the message: what it was given is not held, so nothing may be started. */
static void test_does_not_hold(void **state)
{
	const struct keeper_msg msg = { .op = KEEPER_HOLD };
	struct keeper *keeper = start();
	struct error err = { 0 };
	int rpc_fd, init = spawn(keeper, &rpc_fd);
	bool started = true;

	free(wait_for_criu());
	assert_int_equal(cgroup_freeze(&group, &err), 0);
	assert_int_equal(fdpass_send(keeper_fd(keeper), &msg, sizeof(msg), NULL, 0), 0);
	assert_int_equal(keeper_holds_all(keeper, &err), -1);
	assert_non_null(strstr(err.what, "cannot hold"));
	memset(&err, 0, sizeof(err));
	assert_int_equal(keeper_commit(keeper, 1, &started, &err), -1);
	assert_false(started);
	assert_true(ends(init));
	memset(&err, 0, sizeof(err));
	assert_int_equal(keeper_abort(keeper, &err), 0);
	assert_int_equal(keeper_said(keeper, &err), 0);
	keeper_free(keeper);
	close(rpc_fd);
	close(init);
}

static void test_abort(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int rpc_fd, init = spawn(keeper, &rpc_fd);

	assert_true(cgroup_exists(&group));
	assert_int_equal(keeper_abort(keeper, &err), 0);
	assert_int_equal(keeper_said(keeper, &err), 0);
	assert_true(ends(init));
	assert_false(dir_exists());
	assert_false(cgroup_exists(&group));
	keeper_free(keeper);
	close(rpc_fd);
	close(init);
}

/* The helper dies before COMMIT: closing its end is all that the keeper sees of it. */
static void test_helper_dies(void **state)
{
	struct keeper *keeper = start();
	int rpc_fd, init = spawn(keeper, &rpc_fd);

	keeper_free(keeper);
	assert_true(ends(init));
	assert_true(wait_for_no_dir());
	assert_true(noted_is(LEDGER_ABORTED));
	assert_false(cgroup_exists(&group));
	close(rpc_fd);
	close(init);
}

/* The source recorded COMMIT, and the helper dies. @aborted: it had the tasks killed, and said nothing */
static void helper_dies_unstarted(bool aborted)
{
	struct keeper *keeper = start();
	struct control *source, *dest;
	struct error err = { 0 };
	int rpc_fd, init = spawn(keeper, &rpc_fd), fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(keeper_speak(keeper, fd[1], &err), 0);
	source = control_new(CONN(fd[0]), COURSE_SOURCE, &err);
	dest = control_new(CONN(fd[1]), COURSE_DEST, &err);
	assert_int_equal(walk_to(source, dest, PHASE_COMMITTED, &err), 0);
	if (aborted)
		assert_int_equal(keeper_abort(keeper, &err), 0);
	control_close(dest);
	keeper_free(keeper);
	assert_null(control_recv(source, 15000, &err));
	assert_true(control_is_unstarted(source));
	assert_non_null(strstr(err.what, "helper was killed"));
	/* it is said when it is so */
	assert_true(ends(init));
	/* the next test's group has the same name */
	assert_true(wait_for_no_dir());
	control_close(source);
	close(rpc_fd);
	close(init);
}

static void test_helper_dies_unstarted(void **state)
{
	helper_dies_unstarted(false);
}

static void test_helper_dies_aborting(void **state)
{
	helper_dies_unstarted(true);
}

/* CRIU lets go of its tasks when its socket hangs up: it must not see that by our deaths. */
static void test_no_hang_up(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int rpc_fd, init = spawn(keeper, &rpc_fd);
	struct pollfd fds = { .fd = init, .events = POLLIN };

	close(rpc_fd);
	assert_int_equal(poll(&fds, 1, 300), 0);
	assert_int_equal(keeper_abort(keeper, &err), 0);
	assert_int_equal(keeper_said(keeper, &err), 0);
	assert_true(ends(init));
	keeper_free(keeper);
	close(init);
}

/* The keeper dies before COMMIT, and its helper ends what it had started. */
static void test_keeper_dies(void **state)
{
	struct keeper *keeper = start();
	struct pollfd fds = { .fd = keeper_fd(keeper) };
	int rpc_fd, init = spawn(keeper, &rpc_fd);

	kill(keeper_pid(keeper), SIGKILL);
	assert_int_equal(poll(&fds, 1, 5000), 1);
	keeper_undo(keeper, init);
	assert_true(ends(init));
	assert_false(dir_exists());
	assert_false(cgroup_exists(&group));
	keeper_free(keeper);
	close(rpc_fd);
	close(init);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_holds, make_dir),
		cmocka_unit_test_setup(test_holds_hundreds, make_dir),
		cmocka_unit_test_setup(test_does_not_hold, make_dir),
		cmocka_unit_test_setup(test_abort, is_root),
		cmocka_unit_test_setup(test_helper_dies, is_root),
		cmocka_unit_test_setup(test_helper_dies_unstarted, is_root),
		cmocka_unit_test_setup(test_helper_dies_aborting, is_root),
		cmocka_unit_test_setup(test_no_hang_up, is_root),
		cmocka_unit_test_setup(test_keeper_dies, is_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
