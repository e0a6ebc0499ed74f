// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/remote.h"

/* What the child and the test share. */
struct shared {
	volatile uint64_t count[2];
	volatile int worker, signals;
};

struct fixture {
	struct shared *shared;
	pid_t child, worker;
	struct remote remote;
};

static struct shared *shared;

static void on_signal(int sig)
{
	shared->signals++;
}

/* A computation that a register out of place would break. */
static void count_up(size_t i)
{
	for (uint64_t a = 1, b = 1;; a++, b += 2) {
		if (2 * a - 1 != b)
			_exit(1);
		shared->count[i] = a;
	}
}

static void filter_prctl(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		_exit(2);
}

static void *worker_body(void *arg)
{
	filter_prctl();
	shared->worker = gettid();
	count_up(1);
	return NULL;
}

static void child_body(void)
{
	pthread_t thread;

	signal(SIGUSR1, on_signal);
	signal(SIGALRM, on_signal);
	if (pthread_create(&thread, NULL, worker_body, NULL))
		_exit(3);
	count_up(0);
}

static char task_state(pid_t pid)
{
	char path[32], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (file)
		fclose(file);
	return state;
}

static void pause_ms(int ms)
{
	struct timespec tick = { .tv_nsec = ms * 1000000L };

	nanosleep(&tick, NULL);
}

static void wait_state(pid_t pid, char state)
{
	for (int i = 0; i < 10000 && task_state(pid) != state; i++)
		pause_ms(1);
	assert_int_equal(task_state(pid), state);
}

static void wait_counting(struct fixture *f)
{
	uint64_t before[2] = { f->shared->count[0], f->shared->count[1] };

	for (int i = 0; i < 10000 && (f->shared->count[0] <= before[0] ||
				      f->shared->count[1] <= before[1]); i++)
		pause_ms(1);
	assert_true(f->shared->count[0] > before[0] && f->shared->count[1] > before[1]);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared = f->shared;
	f->child = fork();
	if (!f->child)
		child_body();
	for (int i = 0; i < 10000 && !f->shared->worker; i++)
		pause_ms(1);
	f->worker = f->shared->worker;
	assert_true(f->worker > 0);
	wait_counting(f);
	kill(f->child, SIGSTOP);
	wait_state(f->child, 'T');
	wait_state(f->worker, 'T');
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kill(f->child, SIGKILL);
	waitpid(f->child, NULL, 0);
	munmap(f->shared, 4096);
	free(f);
	return 0;
}

static void seize(struct fixture *f)
{
	struct error err = { 0 };

	assert_int_equal(remote_seize(&f->remote, f->child, &err), 0);
	assert_int_equal(f->remote.nr, 2);
	assert_int_equal(remote_wait(&f->remote, &err), 0);
}

/* It stands still, and runs on unharmed afterwards. */
static void release(struct fixture *f)
{
	uint64_t count[2] = { f->shared->count[0], f->shared->count[1] };

	remote_release(&f->remote);
	wait_state(f->child, 'T');
	wait_state(f->worker, 'T');
	assert_int_equal(f->shared->count[0], count[0]);
	assert_int_equal(f->shared->count[1], count[1]);
	assert_int_equal(f->shared->signals, 0);
	kill(f->child, SIGCONT);
	wait_counting(f);
}

static int no_new_privs(pid_t tid)
{
	char path[32], line[128];
	int value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "NoNewPrivs: %d", &value) == 1)
			break;
	if (file)
		fclose(file);
	return value;
}

/* In one thread, though its filter would kill the process for it. */
static void test_call_past_filter(void **state)
{
	struct remote_call call = { .nr = SYS_prctl, .args = { PR_SET_NO_NEW_PRIVS, 1 } };
	struct fixture *f = *state;
	struct error err = { 0 };
	long result = -1;

	seize(f);
	assert_int_equal(remote_call(&f->remote, f->worker, &call, &result, &err), 0);
	assert_int_equal(result, 0);
	release(f);
	assert_int_equal(no_new_privs(f->worker), 1);
	assert_int_equal(no_new_privs(f->child), 0);
}

static void test_call_with_data(void **state)
{
	struct itimerval once = { .it_value.tv_sec = 1 };
	struct remote_call call = {
		.nr = SYS_setitimer, .args = { ITIMER_REAL },
		.data = &once, .bytes = sizeof(once), .data_arg = 1,
	};
	struct fixture *f = *state;
	struct error err = { 0 };
	long result = -1;

	seize(f);
	assert_int_equal(remote_call(&f->remote, f->child, &call, &result, &err), 0);
	assert_int_equal(result, 0);
	release(f);
	for (int i = 0; i < 30000 && !f->shared->signals; i++)
		pause_ms(1);
	assert_int_equal(f->shared->signals, 1);
}

static void test_call_fails(void **state)
{
	struct remote_call call = { .nr = SYS_close, .args = { 12345 } };
	struct fixture *f = *state;
	struct error err = { 0 };
	long result = 0;

	seize(f);
	assert_int_equal(remote_call(&f->remote, f->child, &call, &result, &err), 0);
	assert_int_equal(result, -EBADF);
	release(f);
}

/* A signal that waits is not delivered by the call, and not lost. */
static void test_call_with_signal_pending(void **state)
{
	struct remote_call call = { .nr = SYS_getpid };
	struct fixture *f = *state;
	struct error err = { 0 };
	long result = 0;

	kill(f->child, SIGUSR1);
	seize(f);
	assert_int_equal(remote_call(&f->remote, f->child, &call, &result, &err), 0);
	assert_int_equal(result, f->child);
	assert_int_equal(remote_call(&f->remote, f->worker, &call, &result, &err), 0);
	assert_int_equal(f->shared->signals, 0);
	release(f);
	for (int i = 0; i < 10000 && !f->shared->signals; i++)
		pause_ms(1);
	assert_int_equal(f->shared->signals, 1);
}

/* The process that thawed the threads cannot freeze them again: they must not run. */
static void test_caller_dies(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	int status = 0;
	pid_t caller;

	caller = fork();
	if (!caller) {
		if (remote_seize(&f->remote, f->child, &err) || remote_wait(&f->remote, &err))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(caller, &status, 0), caller);
	assert_int_equal(status, 0);
	for (int i = 0; i < 10000 && !waitpid(f->child, &status, WNOHANG); i++)
		pause_ms(1);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_seize_nobody(void **state)
{
	struct error err = { 0 };
	struct remote remote;

	assert_int_equal(remote_seize(&remote, 0x3ffffff, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_call_past_filter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_with_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_with_signal_pending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_caller_dies, setup, teardown),
		cmocka_unit_test(test_seize_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
