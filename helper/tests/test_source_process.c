// SPDX-License-Identifier: GPL-2.0
/* One process at the source, by itself: its name, exec, and lists that are read once. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/process.h"

/* A byte on @in makes the child open one file more; a second one makes it call exec. */
struct bench {
	pid_t pid;
	int in, out;
	struct source_process process;
	struct error err;
};

static void live(int in, int out)
{
	char byte = 0;

	alarm(60);
	if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1)
		_exit(1);
	if (open("/dev/null", O_RDONLY) < 0 || write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1)
		_exit(1);
	execl("/bin/sleep", "sleep", "60", (char *)NULL);
	_exit(1);
}

static void await(struct bench *bench)
{
	char byte;

	assert_int_equal(read(bench->out, &byte, 1), 1);
}

static void go_on(struct bench *bench)
{
	assert_int_equal(write(bench->in, "", 1), 1);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return -1;
	bench->pid = fork();
	if (!bench->pid)
		live(to[0], from[1]);
	close(to[0]);
	close(from[1]);
	bench->in = to[1];
	bench->out = from[0];
	*state = bench;
	await(bench);
	return source_process_init(&bench->process, bench->pid, &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	kill(bench->pid, SIGKILL);
	waitpid(bench->pid, NULL, 0);
	source_process_destroy(&bench->process);
	close(bench->in);
	close(bench->out);
	free(bench);
	return 0;
}

static void its_start_time_is_part_of_its_name(void **state)
{
	struct bench *bench = *state;
	struct proc_status now;

	assert_int_equal(proc_status_read(bench->pid, &now, &bench->err), 0);
	assert_true(bench->process.status.start_ticks > 0);
	assert_int_equal(bench->process.status.start_ticks, now.start_ticks);
	assert_int_equal(bench->process.status.ppid, getpid());
}

static void exec_is_told_from_what_else_a_process_does(void **state)
{
	struct bench *bench = *state;

	assert_false(source_process_called_exec(&bench->process));
	go_on(bench);
	await(bench);
	assert_false(source_process_called_exec(&bench->process));
	go_on(bench);
	/* its end of the pipe is closed in exec, by which time the new address space is there */
	assert_int_equal(read(bench->out, &(char){ 0 }, 1), 0);
	assert_true(source_process_called_exec(&bench->process));
}

static void a_zombie_has_exited(void **state)
{
	struct bench *bench = *state;
	siginfo_t info;
	struct proc_status now;

	assert_false(source_process_has_exited(&bench->process.status));
	kill(bench->pid, SIGKILL);
	assert_int_equal(waitid(P_PID, bench->pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_status_read(bench->pid, &now, &bench->err), 0);
	assert_true(source_process_has_exited(&now));
	/* threads that are left run on behind a first one that has ended */
	now.threads = 2;
	assert_false(source_process_has_exited(&now));
}

static void what_a_held_process_has_is_read_once(void **state)
{
	struct bench *bench = *state;
	struct source_process *process = &bench->process;
	const struct vma_list *vmas = source_process_held(process, &bench->err);
	const struct proc_files *files;
	size_t nr;

	assert_non_null(vmas);
	assert_ptr_equal(source_process_held(process, &bench->err), vmas);
	files = source_process_held_files(process, &bench->err);
	assert_non_null(files);
	nr = files->nr;
	go_on(bench);
	await(bench);
	assert_int_equal(source_process_held_files(process, &bench->err)->nr, nr);
	source_process_forget_held(process);
	assert_int_equal(source_process_hold(process, &bench->err), 0);
	assert_int_equal(source_process_held_files(process, &bench->err)->nr, nr + 1);
}

static void descriptors_that_were_read_ahead_are_used(void **state)
{
	struct bench *bench = *state;
	struct source_process *process = &bench->process;
	const struct proc_files *files;
	struct proc_files own;
	size_t nr;

	source_process_read_files(process);
	files = source_process_files(process, &own, &bench->err);
	assert_ptr_not_equal(files, &own);
	nr = files->nr;
	go_on(bench);
	await(bench);
	assert_int_equal(source_process_files(process, &own, &bench->err)->nr, nr);
	proc_files_free(&own);
	source_process_forget_files(process);
	files = source_process_files(process, &own, &bench->err);
	assert_ptr_equal(files, &own);
	assert_int_equal(files->nr, nr + 1);
	proc_files_free(&own);
}

static void a_process_that_is_gone_has_neither(void **state)
{
	struct bench *bench = *state;
	struct proc_files own;

	kill(bench->pid, SIGKILL);
	waitpid(bench->pid, NULL, 0);
	assert_null(source_process_held(&bench->process, &bench->err));
	assert_null(source_process_held_files(&bench->process, &bench->err));
	assert_int_not_equal(source_process_hold(&bench->process, &bench->err), 0);
	source_process_read_files(&bench->process);
	assert_null(source_process_files(&bench->process, &own, &bench->err));
	proc_files_free(&own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(its_start_time_is_part_of_its_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(exec_is_told_from_what_else_a_process_does, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_zombie_has_exited, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_held_process_has_is_read_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(descriptors_that_were_read_ahead_are_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_process_that_is_gone_has_neither, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("source process", tests, NULL, NULL);
}
