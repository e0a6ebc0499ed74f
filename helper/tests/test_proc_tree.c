// SPDX-License-Identifier: GPL-2.0
/* The list of children while threads end. Linked with --wrap=proc_text: the test says what a thread lists. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/proc_tree.h"

/* No process has such a pid, so that they have no children. */
#define FIRST	0x7ffffff0
#define SECOND	0x7ffffff1

/* The first thread ends once it has been read, and the second one gets its child. */
char *__wrap_proc_text(pid_t pid, const char *name)
{
	char main_thread[48], *text = NULL;

	if (pid != getpid())
		return NULL;
	snprintf(main_thread, sizeof(main_thread), "task/%d/children", pid);
	if (asprintf(&text, strcmp(name, main_thread) ? "%d %d " : "%d ", FIRST, SECOND) < 0)
		return NULL;
	return text;
}

static void *wait_for(void *lock)
{
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	return NULL;
}

static void a_child_is_listed_once(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct error err = { 0 };
	pthread_t thread;
	pid_t *pids;
	size_t nr;

	pthread_mutex_lock(&lock);
	assert_int_equal(pthread_create(&thread, NULL, wait_for, &lock), 0);
	assert_int_equal(proc_tree(getpid(), &pids, &nr, &err), 0);
	assert_int_equal(nr, 3);
	assert_int_equal(pids[0], getpid());
	assert_int_equal(pids[1], FIRST);
	assert_int_equal(pids[2], SECOND);
	free(pids);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_is_listed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
