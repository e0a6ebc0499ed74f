// SPDX-License-Identifier: GPL-2.0
/* The looks at a tree of many processes, which are spread over the CPUs. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/tree.h"

#define MANY	24

static int joins(void *ctx, struct source_process *process, struct error *err)
{
	size_t *nr = ctx;

	(*nr)++;
	return 0;
}

static size_t follow(struct tree *tree)
{
	struct error err = { 0 };
	size_t joined = 0;

	assert_int_equal(tree_follow(tree, joins, &joined, &err), 0);
	return joined;
}

static size_t nr_alive(const struct tree *tree)
{
	struct source_process *process;
	size_t nr = 0;

	tree_for_each(tree, process)
		nr++;
	return nr;
}

static pid_t start_many(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	for (int i = 0; !pid && i < MANY; i++)
		if (!fork()) {
			alarm(60);
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
	if (!pid) {
		alarm(60);
		if (write(ready[1], "r", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* Each look finds out of its own process. */
static void many_children_are_followed(void **state)
{
	static const size_t killed[] = { 1, 7, MANY };
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start_many();

	assert_non_null(tree_add(&tree, pid, &err));
	assert_int_equal(follow(&tree), MANY);
	assert_int_equal(tree_check_alive(&tree, &err), 0);
	for (size_t i = 0; i < 3; i++)
		kill(tree.processes[killed[i]]->pid, SIGKILL);
	for (int i = 0; i < 1000 && nr_alive(&tree) > MANY - 2; i++)
		assert_int_equal(follow(&tree), 0);
	assert_int_equal(nr_alive(&tree), MANY - 2);
	for (size_t i = 0; i < 3; i++)
		assert_true(tree.processes[killed[i]]->gone);
	tree_read_files(&tree, false);
	tree_hold(&tree);
	for (size_t i = 0; i < tree.nr; i++) {
		const struct source_process *process = tree.processes[i];

		assert_int_equal(process->files_read, !process->gone);
		assert_int_equal(process->files_held, !process->gone);
		assert_int_equal(process->held.nr > 0, !process->gone);
	}
	tree_forget_files(&tree);
	for (size_t i = 0; i < tree.nr; i++)
		assert_false(tree.processes[i]->files_read);
	tree.processes[9]->status.start_ticks++;
	assert_int_equal(tree_check_alive(&tree, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
	tree_destroy(&tree);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Looks that follow each other share a list; the next one sees what was opened since. */
static void a_list_is_of_one_moment(void **state)
{
	struct source_process process = { .pid = getpid() };
	const struct proc_files *files;
	struct error err = { 0 };
	struct proc_files own;
	size_t nr;
	int fd;

	source_process_read_files(&process);
	nr = process.files.nr;
	fd = open("/dev/null", O_RDONLY);
	files = source_process_files(&process, &own, &err);
	assert_ptr_equal(files, &process.files);
	assert_int_equal(files->nr, nr);
	proc_files_free(&own);
	source_process_forget_files(&process);
	files = source_process_files(&process, &own, &err);
	assert_ptr_equal(files, &own);
	assert_int_equal(own.nr, nr + 1);
	proc_files_free(&own);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_children_are_followed),
		cmocka_unit_test(a_list_is_of_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
