// SPDX-License-Identifier: GPL-2.0
/* A thread that waits in the kernel: it is waited for, and named when it takes long. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "base/clock.h"
#include "os/proc.h"
#include "source/blocked.h"
#include "tests/silent_fs.h"

#define LATER_MS	20000

static struct silent_fs fs;
static struct tree tree;
static struct blocked blocked;
static struct error err;
static pid_t pid;

static void look_at_silence(void)
{
	struct stat st;

	stat(fs.dir, &st);
	for (;;)
		pause();
}

/* As in vfork(): its child has an address space of its own here, so that a sanitizer sees nothing odd. */
static void wait_for_child(void)
{
	if (!syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0)) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
}

static void start(void (*body)(void))
{
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		alarm(60);
		silent_fs_answer(&fs);
		body();
		_exit(1);
	}
	memset(&err, 0, sizeof(err));
	assert_non_null(tree_add(&tree, pid, &err));
}

static bool is_in_state(char state)
{
	struct proc_status status = { 0 };

	for (int ms = 0; ms < LATER_MS && status.state != state; ms++) {
		assert_int_equal(proc_stat_read(pid, &status, &err), 0);
		usleep(1000);
	}
	return status.state == state;
}

static int end(void **state)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	pid = 0;
	tree_destroy(&tree);
	return 0;
}

static void one_that_waits_for_long(void **state)
{
	char what[64];

	if (fs.server < 0)
		skip();
	start(look_at_silence);
	assert_true(is_in_state('D'));
	assert_true(blocked_find(pid, &blocked));
	assert_int_equal(blocked.tid, pid);
	assert_int_equal(blocked_check(&tree, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	snprintf(what, sizeof(what), "process %d (test_blocked) waits in the kernel (", pid);
	assert_true(!strncmp(err.what, what, strlen(what)));
}

/* While the check waits for it. */
static void one_whose_wait_ends(void **state)
{
	pid_t killer;

	if (fs.server < 0)
		skip();
	start(look_at_silence);
	assert_true(is_in_state('D'));
	killer = fork();
	if (!killer) {
		usleep(100000);
		_exit(kill(pid, SIGKILL));
	}
	assert_int_equal(blocked_check(&tree, &err), 0);
	assert_int_equal(waitpid(killer, NULL, 0), killer);
}

static struct silent_fs other;

static void *look_at_other(void *arg)
{
	struct stat st;

	stat(other.dir, &st);
	return NULL;
}

static void look_at_both(void)
{
	pthread_t thread;

	silent_fs_answer(&other);
	if (!pthread_create(&thread, NULL, look_at_other, NULL))
		look_at_silence();
}

static int count_thread(void *ctx, pid_t tid)
{
	int *nr = ctx;
	char path[64], text[200] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	file = fopen(path, "r");
	*nr += file && fgets(text, sizeof(text), file) && strstr(text, ") D");
	if (file)
		fclose(file);
	return 0;
}

static int count_waits(void)
{
	int nr = 0;

	proc_threads(pid, count_thread, &nr, &err);
	return nr;
}

static void *answer_later(void *fs_of_one)
{
	usleep(100000);
	silent_fs_answer(fs_of_one);
	return NULL;
}

/* Whichever of its threads is found first: the wait of one is over soon, that of the other one lasts. */
static void another_thread_that_waits_for_long(void **state)
{
	struct silent_fs *const both[] = { &fs, &other };
	pthread_t thread;

	for (int first = 0; first < 2; first++) {
		if (fs.server < 0 || !silent_fs_mount(&other))
			skip();
		start(look_at_both);
		for (int ms = 0; ms < LATER_MS && count_waits() < 2; ms++)
			usleep(1000);
		assert_int_equal(count_waits(), 2);
		assert_int_equal(pthread_create(&thread, NULL, answer_later, both[first]), 0);
		assert_int_equal(blocked_check(&tree, &err), -1);
		assert_int_equal(err.code, CODE_REFUSED);
		pthread_join(thread, NULL);
		end(NULL);
		silent_fs_end(&other);
		silent_fs_end(&fs);
		silent_fs_mount(&fs);
	}
}

static void one_that_is_in_vfork(void **state)
{
	start(wait_for_child);
	assert_true(is_in_state('D'));
	assert_false(blocked_find(pid, &blocked));
	assert_int_equal(blocked_check(&tree, &err), 0);
}

static void one_that_sleeps(void **state)
{
	int64_t begin = clock_now_ms();

	start((void (*)(void))pause);
	assert_true(is_in_state('S'));
	assert_int_equal(blocked_check(&tree, &err), 0);
	assert_true(clock_now_ms() - begin < LATER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(one_that_waits_for_long, end),
		cmocka_unit_test_teardown(one_whose_wait_ends, end),
		cmocka_unit_test_teardown(another_thread_that_waits_for_long, end),
		cmocka_unit_test_teardown(one_that_is_in_vfork, end),
		cmocka_unit_test_teardown(one_that_sleeps, end),
	};
	int ret;

	if (!silent_fs_mount(&fs))
		silent_fs_answer(&fs);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	silent_fs_end(&fs);
	return ret;
}
