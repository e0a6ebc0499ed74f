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
#include "dest/program.h"
#include "os/cgroup_homes.h"
#include "base/fdpass.h"
#include "os/proc.h"

static void what_the_source_said_is_kept(void **state)
{
	Migrate__Process said[2], *list[] = { &said[0], &said[1] };
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;
	struct program program;
	struct error err = { 0 };

	program_init(&program, "0123");
	assert_non_null(strstr(program.group.dir, "migrate-helper-0123-dest"));
	program.root = 200;
	for (int i = 0; i < 2; i++) {
		migrate__process__init(&said[i]);
		said[i].pid = 200 + i;
		said[i].has_oom_score_adj = true;
		said[i].oom_score_adj = -17 - i;
	}
	go.processes = list;
	go.n_processes = 2;
	assert_int_equal(program_take(&program, &go, 8, &err), 0);
	assert_int_equal(program.nr, 2);
	assert_int_equal(program.processes[1]->pid, 201);
	assert_int_equal(program.processes[1]->attributes.wanted->oom_score_adj, -18);
	program_destroy(&program);
}

/* Each process once, and the root among them. */
static void a_wrong_list_of_processes_is_refused(void **state)
{
	Migrate__Process said = MIGRATE__PROCESS__INIT, *list[] = { &said, &said };
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;
	struct program program;
	struct error err = { 0 };

	program_init(&program, "0123");
	program.root = 200;
	said.pid = 200;
	go.processes = list;
	go.n_processes = 2;
	assert_int_equal(program_take(&program, &go, 8, &err), -1);
	assert_non_null(strstr(err.what, "twice"));
	/* of each that has memory the source has announced it */
	memset(&err, 0, sizeof(err));
	assert_int_equal(program_take(&program, &go, 1, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_non_null(strstr(err.what, "told of 2 processes"));
	said.pid = 201;
	go.n_processes = 1;
	memset(&err, 0, sizeof(err));
	assert_int_equal(program_take(&program, &go, 8, &err), -1);
	assert_non_null(strstr(err.what, "did not tell of process 200"));
	program_destroy(&program);
}

/* A path that leads out of the group of serve, or is none. */
static void a_wrong_control_group_is_refused(void **state)
{
	static char *const wrong[] = { "a", "/..", "/a/../b", "//", "/a/", "/", "/.", "/a\n", NULL };
	Migrate__Process said = MIGRATE__PROCESS__INIT, *list[] = { &said };
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;
	char longest[2 * CGROUP_SUB_BYTES];
	struct program program;
	struct error err = { 0 };

	program_init(&program, "0123");
	program.root = said.pid = 200;
	go.processes = list;
	go.n_processes = 1;
	for (size_t i = 0; wrong[i]; i++) {
		said.sub_group = wrong[i];
		memset(&err, 0, sizeof(err));
		assert_int_equal(program_take(&program, &go, 8, &err), -1);
		assert_int_equal(err.code, CODE_PEER);
	}
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 100 ? 'x' : '/';
	longest[sizeof(longest) - 1] = 0;
	said.sub_group = longest;
	memset(&err, 0, sizeof(err));
	assert_int_equal(program_take(&program, &go, 8, &err), -1);
	said.sub_group = "/a/..b";
	memset(&err, 0, sizeof(err));
	assert_int_equal(program_take(&program, &go, 8, &err), 0);
	assert_string_equal(program.processes[0]->sub_group, "/a/..b");
	program_destroy(&program);
}

static void the_end_of_the_init_is_seen(void **state)
{
	struct program program;
	struct error err = { 0 };

	program_init(&program, "0123");
	program.init_pid = fork();
	if (!program.init_pid)
		for (;;)
			pause();
	program.root = 1 << 22;
	program.init_fd = proc_pidfd(program.init_pid, &err);
	assert_true(program.init_fd >= 0);
	assert_false(program_has_ended(&program, 0));
	/* there is no task of that pid */
	assert_int_equal(program_root_pid(&program), 0);
	assert_false(program_root_lives(&program));
	kill(program.init_pid, SIGKILL);
	assert_true(program_has_ended(&program, 10000));
	waitpid(program.init_pid, NULL, 0);
	program_destroy(&program);
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
		cmocka_unit_test(a_wrong_control_group_is_refused),
		cmocka_unit_test(what_the_source_said_is_kept),
		cmocka_unit_test(a_wrong_list_of_processes_is_refused),
		cmocka_unit_test(the_end_of_the_init_is_seen),
		cmocka_unit_test(the_parent_is_told),
		cmocka_unit_test(the_parent_hands_connections_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
