// SPDX-License-Identifier: GPL-2.0
/* A restored task: its images, and its end. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/parent.h"
#include "dest/process.h"
#include "base/fdpass.h"
#include "os/proc.h"

static void what_the_source_said_is_kept(void **state)
{
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;
	struct process process;
	struct error err = { 0 };

	process_init(&process, "0123");
	assert_non_null(strstr(process.group.dir, "migrate-helper-0123-dest"));
	go.pending = 1UL << 14;
	go.oom_score_adj = -17;
	assert_int_equal(process_take(&process, &go, &err), 0);
	assert_int_equal(process.pending, 1UL << 14);
	assert_int_equal(process.oom_score_adj, -17);
	process_destroy(&process);
}

static void the_end_of_the_init_is_seen(void **state)
{
	struct process process;
	struct error err = { 0 };

	process_init(&process, "0123");
	process.init_pid = fork();
	if (!process.init_pid)
		for (;;)
			pause();
	process.pid = 1 << 22;
	process.init_fd = proc_pidfd(process.init_pid, &err);
	assert_true(process.init_fd >= 0);
	assert_false(process_has_ended(&process, 0));
	/* there is no task of that pid */
	assert_int_equal(process_host_pid(&process, &err), 0);
	assert_int_equal(err.code, CODE_CRIU);
	assert_false(process_lives(&process));
	kill(process.init_pid, SIGKILL);
	assert_true(process_has_ended(&process, 10000));
	waitpid(process.init_pid, NULL, 0);
	process_destroy(&process);
}

static void the_parent_is_told(void **state)
{
	struct parent_msg msg;
	int pair[2], fds[FDPASS_MAX];

	assert_int_equal(fdpass_pair(pair), 0);
	parent_say_committed(pair[0]);
	parent_say_ended(pair[0], CODE_DOUBT, true);
	assert_int_equal(fdpass_recv(pair[1], &msg, sizeof(msg), fds, 0), 1);
	assert_false(msg.ended);
	assert_int_equal(fdpass_recv(pair[1], &msg, sizeof(msg), fds, 0), 1);
	assert_true(msg.ended && msg.detached && msg.code == CODE_DOUBT);
	close(pair[0]);
	close(pair[1]);
}

static void the_parent_hands_connections_over(void **state)
{
	const struct parent_conn msg = { .kind = CONN_URGENT };
	struct conn conn = CONN_NONE;
	struct error err = { 0 };
	int pair[2], pipe_fds[2];

	assert_int_equal(fdpass_pair(pair), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(parent_next_conn(pair[0], 0, &conn, &err), 0);
	assert_int_equal(fdpass_send(pair[1], &msg, sizeof(msg), pipe_fds, 1), 0);
	assert_int_equal(parent_next_conn(pair[0], 1000, &conn, &err), 1);
	assert_true(conn_is_open(&conn) && conn.kind == CONN_URGENT);
	conn_close(&conn);
	close(pair[1]);
	assert_int_equal(parent_next_conn(pair[0], 1000, &conn, &err), -1);
	assert_int_equal(err.code, CODE_ABORTED);
	close(pair[0]);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_source_said_is_kept),
		cmocka_unit_test(the_end_of_the_init_is_seen),
		cmocka_unit_test(the_parent_is_told),
		cmocka_unit_test(the_parent_hands_connections_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
