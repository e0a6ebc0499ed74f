// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/pending.h"
#include "tests/no_fds.h"

#define BIT(sig)	(1ULL << ((sig) - 1))

static void test_read(void **state)
{
	struct error err = { 0 };
	sigset_t set, old;
	uint64_t mask = 0;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	assert_int_equal(pending_read(getpid(), &mask, &err), 0);
	assert_false(pending_has(mask, SIGXFSZ));
	/* one for the process, one for this thread */
	kill(getpid(), SIGUSR1);
	raise(SIGXFSZ);
	assert_int_equal(pending_read(getpid(), &mask, &err), 0);
	assert_true(pending_has(mask, SIGXFSZ));
	assert_true(pending_has(mask, SIGUSR1));
	assert_false(pending_has(mask, SIGUSR2));
	while (pending_has(mask, SIGXFSZ) || pending_has(mask, SIGUSR1)) {
		sigwait(&set, &sig);
		pending_read(getpid(), &mask, &err);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void test_no_process(void **state)
{
	struct error err = { 0 };
	uint64_t mask;

	assert_int_equal(pending_read(0x7fffffff, &mask, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
}

static void fails_with(int fds)
{
	struct error err = { 0 };
	struct rlimit limit = no_fds_begin(fds);
	uint64_t mask;
	int ret = pending_read(getpid(), &mask, &err);

	no_fds_end(&limit);
	assert_int_equal(ret, -1);
	assert_int_equal(err.os_errno, EMFILE);
}

static void *wait_for_end(void *arg)
{
	char byte;

	assert_int_equal(read(*(int *)arg, &byte, 1), 0);
	return NULL;
}

/* What cannot be read would be a pending SIGKILL that is missed. */
static void test_read_or_error(void **state)
{
	pthread_t thread;
	int ends[2];

	/* of one thread no directory is read */
	fails_with(0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_end, &ends[0]), 0);
	/* the directory of the threads can be opened, and their files cannot */
	fails_with(1);
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
}

/* Timers fire and people send signals while the program stands: these are its own. */
static void test_fault(void **state)
{
	assert_int_equal(pending_fault(0, 0), 0);
	assert_int_equal(pending_fault(BIT(SIGALRM) | BIT(SIGTERM) | BIT(SIGSTOP), 0), 0);
	assert_int_equal(pending_fault(BIT(SIGALRM) | BIT(SIGXFSZ), 0), SIGXFSZ);
	assert_int_equal(pending_fault(BIT(SIGXFSZ), BIT(SIGXFSZ)), 0);
	assert_int_equal(pending_fault(BIT(SIGKILL), BIT(SIGXFSZ)), SIGKILL);
	assert_int_equal(pending_fault(BIT(SIGCONT), 0), SIGCONT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_no_process),
		cmocka_unit_test(test_read_or_error),
		cmocka_unit_test(test_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
