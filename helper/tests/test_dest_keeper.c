// SPDX-License-Identifier: GPL-2.0
/* The keeper and its namespace: nothing may be left when a process dies. Needs root. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fdpass.h"
#include "dest/keeper.h"
#include "dest/kept.h"
#include "os/ns_pids.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "tests/in_group.h"

static char dir[64];
#define HUNDREDS	300

static struct cgroup group;
static struct owned_dir owned = { .base_fd = -1, .fd = -1 };
static int nr_dirs;

static int make_dir(void **state)
{
	char path[128];
	int fd;

	struct error err = { 0 };

	snprintf(dir, sizeof(dir), "/tmp/test-keeper-%d-%d", getpid(), nr_dirs++);
	owned_dir_close(&owned);
	if (owned_dir_make(&owned, "/tmp", dir + strlen("/tmp/"), &err))
		return -1;
	snprintf(path, sizeof(path), "%s/images", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/images/core-1.img", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	return 0;
}

static bool dir_exists(void)
{
	return !access(dir, F_OK);
}

static bool ends(int pidfd)
{
	struct pollfd fds = { .fd = pidfd, .events = POLLIN };

	return poll(&fds, 1, 5000) == 1;
}

static bool wait_for_no_dir(void)
{
	for (int i = 0; i < 500 && dir_exists(); i++)
		usleep(10000);
	return !dir_exists();
}

static bool wait_for_no_group(void)
{
	for (int i = 0; i < 500 && cgroup_exists(&group); i++)
		usleep(10000);
	return !cgroup_exists(&group);
}

/* CRIU stands for the program here: it is what is in the group. */
static pid_t *wait_for_criu(void)
{
	struct error err = { 0 };
	pid_t *pids;
	size_t nr;

	for (int i = 0; i < 500 && !in_group_count(&group); i++)
		usleep(10000);
	assert_int_equal(cgroup_pids(&group, &pids, &nr, &err), 0);
	assert_non_null(pids);
	return pids;
}

static int pidfd_of(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	assert_true(fd >= 0);
	return fd;
}

static struct keeper *start(void)
{
	struct error err = { 0 };
	struct keeper *keeper;
	char name[64];

	snprintf(name, sizeof(name), "migrate-helper-test-%d", getpid());
	cgroup_plan(&group, 0, CGROUP_BELOW, name);
	keeper = keeper_start(&owned, &group, &err);

	assert_non_null(keeper);
	return keeper;
}

static int spawn_for(struct keeper *keeper, pid_t task_pid, int *rpc_fd)
{
	struct error err = { 0 };
	const struct nsinit_plan plan = { .task_pid = task_pid };
	pid_t init;

	if (keeper_spawn(keeper, &plan, rpc_fd, &init, &err)) {
		print_message("%s\n", err.what);
		skip();
	}
	return pidfd_of(init);
}

static int spawn(struct keeper *keeper, int *rpc_fd)
{
	return spawn_for(keeper, 5000, rpc_fd);
}

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
	/* the v1 freezer keeps the killed tasks until here, and they keep the init */
	keeper_undo(keeper, init);
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

/* As CRIU does: whoever made the process ends, so that it is the init's child. */
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
	assert_int_equal(keeper_abort(keeper, &err), -1);
	keeper_free(keeper);
	assert_int_equal(poll(&fds, 1, 300), 0);
	assert_true(wait_for_no_group());
	/* CRIU ends: nothing is left in there, so neither is the init */
	shutdown(rpc_fd, SHUT_RDWR);
	close(rpc_fd);
	assert_true(ends(init));
	assert_true(wait_for_no_dir());
	close(init);
}

static int is_root(void **state)
{
	if (!geteuid())
		return make_dir(state);
	print_message("this needs root\n");
	skip();
	return -1;
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
