// SPDX-License-Identifier: GPL-2.0
/* What one look asks of all processes. Linked with --wrap of the functions below: walks are counted. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/surroundings.h"
#include "tests/inspected.h"
#include "tests/real_walks.h"

#define CHILDREN	3

static int nr_walks, nr_tables, nr_inet;

int __wrap_proc_links(proc_link_fn fn, void *ctx, struct error *err)
{
	nr_walks++;
	return __real_proc_links(fn, ctx, err);
}

int __wrap_unix_diag_walk(unix_sock_fn fn, void *ctx)
{
	nr_tables++;
	return __real_unix_diag_walk(fn, ctx);
}

int __wrap_inet_sockets_read(pid_t pid, struct inet_sockets *all, struct error *err)
{
	nr_inet++;
	return __real_inet_sockets_read(pid, all, err);
}

/* Each child has one end of a pipe and of a pair of sockets of the root. */
static void root_of_a_family(void)
{
	int ends[2];

	for (int i = 0; i < CHILDREN; i++) {
		if (pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
			_exit(1);
		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[1]);
		for (;;)
			pause();
	}
}

static int set_up(void **state)
{
	struct bench *bench = start(root_of_a_family);

	assert_int_equal(bench->tree.nr, 1 + CHILDREN);
	nr_walks = nr_tables = nr_inet = 0;
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	end(*state);
	return 0;
}

static void one_walk_for_all_processes(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), 0);
	/* who holds a pipe; the pairs of sockets are whole in the root alone: who holds a socket */
	assert_in_range(nr_walks, 1, 2);
	assert_int_equal(nr_tables, 1);
	assert_int_equal(nr_inet, 1);
	nr_walks = nr_tables = nr_inet = 0;
	assert_int_equal(refuse_attached(&bench->terms, &bench->tree, &bench->err), 0);
	assert_in_range(nr_walks, 0, 2);
	assert_int_equal(nr_tables, 1);
	assert_in_range(nr_inet, 0, 1);
}

/* While the program stands its sockets are looked at once more. */
static void one_look_while_it_stands(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(refuse_program(&bench->terms, &bench->tree, &bench->err), 0);
	nr_inet = 0;
	assert_int_equal(refuse_frozen(&bench->terms, &bench->tree, &bench->err), 0);
	assert_int_equal(nr_inet, 1);
}

static void held_by(struct surroundings *around, enum holder_list list, const struct stat *st,
		    dev_t dev, size_t expected)
{
	struct error err = { 0 };
	struct holder *holders;
	size_t nr, own = 0;

	holders = surroundings_holders(around, list, dev, st->st_ino, &nr, &err);
	for (size_t i = 0; i < nr; i++)
		own += holders[i].pid == getpid();
	assert_int_equal(own, expected);
}

/* The list is as old as the first question. */
static void what_is_opened_later_is_seen_by_the_next_look(void **state)
{
	struct bench *bench = *state;
	struct surroundings around = { .tree = &bench->tree };
	struct stat st;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fstat(ends[0], &st), 0);
	held_by(&around, HOLDER_PIPES, &st, 0, 2);
	close(ends[0]);
	held_by(&around, HOLDER_PIPES, &st, 0, 2);
	surroundings_forget(&around);
	held_by(&around, HOLDER_PIPES, &st, 0, 1);
	close(ends[1]);
	surroundings_forget(&around);
}

/* A child of a server that forks for each client may have ended since the list was made. */
static void a_holder_that_ended_is_no_outsider(void **state)
{
	struct bench *bench = *state;
	struct surroundings around = { .tree = &bench->tree };
	pid_t pid = fork();
	struct holder *holders;
	struct error err = { 0 };
	struct stat st;
	size_t nr;
	int ends[2];

	assert_true(pid >= 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fstat(ends[0], &st), 0);
	holders = surroundings_holders(&around, HOLDER_PIPES, 0, st.st_ino, &nr, &err);
	assert_int_equal(nr, 2);
	assert_int_equal(surroundings_place(&around, holders), PLACE_OUTSIDE);
	holders[1].pid = pid;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(surroundings_place(&around, &holders[1]), PLACE_ENDED);
	holders[0].place = PLACE_UNASKED;
	holders[0].pid = tree_root(&bench->tree)->pid;
	assert_int_equal(surroundings_place(&around, holders), PLACE_INSIDE);
	close(ends[0]);
	close(ends[1]);
	surroundings_forget(&around);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(one_walk_for_all_processes), BENCH_TEST(one_look_while_it_stands),
		BENCH_TEST(what_is_opened_later_is_seen_by_the_next_look),
		BENCH_TEST(a_holder_that_ended_is_no_outsider),
	};

	/* make and shells leave pipes open */
	close_range(3, ~0U, 0);
	/* a session from outside of the PID namespace, as in a container, is refused */
	setsid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
