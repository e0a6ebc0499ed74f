// SPDX-License-Identifier: GPL-2.0
/* The keeper from COMMIT on: which program it starts, and how it learns of its end. Needs root. */
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/ns_pids.h"
#include "tests/dest_keeper_kit.h"

static bool wait_for_no_group(void)
{
	for (int i = 0; i < 500 && cgroup_exists(&group); i++)
		usleep(10000);
	return !cgroup_exists(&group);
}

/* A task that has SIGKILL pending in the freezer, or has died of it, is not started. */
static void test_commit_killed(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int rpc_fd, init = spawn(keeper, &rpc_fd);
	bool started = true;
	pid_t *pids;

	pids = wait_for_criu();
	assert_int_equal(cgroup_freeze(&group, &err), 0);
	kill(pids[0], SIGKILL);
	free(pids);
	assert_int_equal(keeper_commit(keeper, 1, &started, &err), -1);
	assert_false(started);
	assert_true(ends(init));
	assert_false(cgroup_exists(&group));
	memset(&err, 0, sizeof(err));
	assert_int_equal(keeper_abort(keeper, &err), 0);
	assert_int_equal(keeper_said(keeper, &err), 0);
	keeper_free(keeper);
	close(rpc_fd);
	close(init);
}

/* A second process of the program, which stands in the group. */
static pid_t add_process(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_int_equal(cgroup_add(&group, pid), 0);
	return pid;
}

/* One of two processes has died, and nobody lists it any more: the other one is not started. */
static void test_commit_one_killed(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int rpc_fd, init = spawn(keeper, &rpc_fd);
	bool started = true;
	pid_t pid;

	free(wait_for_criu());
	pid = add_process();
	assert_int_equal(cgroup_freeze(&group, &err), 0);
	kill(pid, SIGKILL);
	if (group.kind == CGROUP_V2)
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(keeper_commit(keeper, 2, &started, &err), -1);
	assert_false(started);
	assert_int_equal(err.code, CODE_TARGET);
	assert_non_null(strstr(err.what, "1 of the 2 restored processes"));
	keeper_undo(keeper, init);
	assert_true(ends(init));
	assert_false(cgroup_exists(&group));
	if (group.kind == CGROUP_V1)
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	keeper_free(keeper);
	close(rpc_fd);
	close(init);
}

/* The keeper dies with COMMIT unread: no task has run, and the helper knows. */
static void test_commit_unheard(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int rpc_fd, init = spawn(keeper, &rpc_fd);
	bool started = true;

	free(wait_for_criu());
	assert_int_equal(cgroup_freeze(&group, &err), 0);
	kill(keeper_pid(keeper), SIGKILL);
	assert_int_equal(keeper_commit(keeper, 1, &started, &err), -1);
	assert_false(started);
	assert_int_equal(noted_entry().state, LEDGER_PREPARED);
	/* the v1 freezer keeps the killed tasks until here, and they keep the init */
	keeper_undo(keeper, init);
	assert_int_equal(noted_entry().state, LEDGER_PREPARED);
	assert_true(ends(init));
	assert_false(cgroup_exists(&group));
	keeper_free(keeper);
	close(rpc_fd);
	close(init);
}

/* The keeper dies after it has thawed the group, and the program with it: the program has run. */
static void test_commit_unanswered(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int rpc_fd, init = spawn(keeper, &rpc_fd);
	bool started = false;

	free(wait_for_criu());
	assert_int_equal(cgroup_freeze(&group, &err), 0);
	assert_int_equal(cgroup_thaw(&group, &err), 0);
	kill(keeper_pid(keeper), SIGKILL);
	assert_true(ends(init));
	assert_int_equal(keeper_commit(keeper, 1, &started, &err), 0);
	assert_true(started);
	keeper_undo(keeper, init);
	keeper_free(keeper);
	close(rpc_fd);
	close(init);
}

/* Who kills the init kills the program: it has not ended by itself. */
static void test_init_killed(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int rpc_fd, init = spawn(keeper, &rpc_fd), signal = 0;
	bool started = false;

	free(wait_for_criu());
	assert_int_equal(keeper_commit(keeper, 1, &started, &err), 0);
	syscall(SYS_pidfd_send_signal, init, SIGKILL, NULL, 0);
	assert_true(ends(init));
	assert_int_equal(keeper_done(keeper, &signal, &err), 0);
	assert_int_equal(signal, SIGKILL);
	keeper_free(keeper);
	close(rpc_fd);
	close(init);
}

/* The first process of a PID namespace below the init's ends by a fault of its own, when @gate has no writer. */
static void end_by_fault(const int *gate)
{
	char byte;

	signal(SIGILL, SIG_DFL);
	close(gate[1]);
	if (!read(gate[0], &byte, 1))
		__builtin_trap();
}

/* As CRIU does: the maker of the process ends, so that it is the init's child. */
static void add_nested(int init, const int *gate)
{
	pid_t pid = fork();

	if (!pid) {
		if (setns(init, CLONE_NEWPID))
			_exit(1);
		if (fork()) {
			wait(NULL);
			_exit(0);
		}
		if (!syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL))
			end_by_fault(gate);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* That process has another pid for the init than for itself. */
static void test_nested_root_signalled(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int rpc_fd, init = spawn_for(keeper, NS_INIT_PID, &rpc_fd), signal = 0, gate[2];
	bool started = false;

	free(wait_for_criu());
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	add_nested(init, gate);
	assert_int_equal(keeper_commit(keeper, 1, &started, &err), 0);
	close(gate[1]);
	shutdown(rpc_fd, SHUT_RDWR);
	close(rpc_fd);
	assert_true(ends(init));
	assert_int_equal(keeper_done(keeper, &signal, &err), 0);
	assert_int_equal(signal, SIGILL);
	keeper_free(keeper);
	close(gate[0]);
	close(init);
}

/* Nobody is left who knows how the program ended: that is not taken for a good end. */
static void test_done_unknown(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int signal = 0;

	kill(keeper_pid(keeper), SIGKILL);
	assert_int_equal(keeper_done(keeper, &signal, &err), -1);
	assert_int_equal(signal, -1);
	keeper_clean_up(&owned, -1);
	keeper_free(keeper);
}

static void test_commit(void **state)
{
	struct keeper *keeper = start();
	struct error err = { 0 };
	int rpc_fd, init = spawn(keeper, &rpc_fd);
	struct pollfd fds = { .fd = init, .events = POLLIN };
	bool started = false;

	free(wait_for_criu());
	assert_int_equal(keeper_commit(keeper, 1, &started, &err), 0);
	assert_true(started);
	assert_int_equal(noted_entry().state, LEDGER_STARTED);
	assert_int_equal(keeper_abort(keeper, &err), -1);
	assert_int_equal(noted_entry().state, LEDGER_STARTED);
	keeper_free(keeper);
	assert_int_equal(poll(&fds, 1, 300), 0);
	assert_true(wait_for_no_group());
	/* CRIU ends: nothing is left in there, so neither is the init */
	shutdown(rpc_fd, SHUT_RDWR);
	close(rpc_fd);
	assert_true(ends(init));
	assert_true(wait_for_no_dir());
	assert_true(noted_is(LEDGER_ENDED));
	close(init);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_commit_killed, is_root),
		cmocka_unit_test_setup(test_commit_one_killed, is_root),
		cmocka_unit_test_setup(test_commit_unheard, is_root),
		cmocka_unit_test_setup(test_commit_unanswered, is_root),
		cmocka_unit_test_setup(test_init_killed, is_root),
		cmocka_unit_test_setup(test_nested_root_signalled, is_root),
		cmocka_unit_test_setup(test_done_unknown, make_dir),
		cmocka_unit_test_setup(test_commit, is_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
