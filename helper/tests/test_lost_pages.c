// SPDX-License-Identifier: GPL-2.0
/* Pages that neither end has: no process reads zeros in their place. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/late_pages.h"
#include "dest/lost_pages.h"
#include "dest/populate.h"
#include "dest/spaces.h"
#include "os/uffd.h"
#include "tests/few_pages.h"
#include "tests/real_sets.h"

static int nr_looks, nr_searches;

bool __wrap_space_each_lacking(struct space *space, uint64_t origin, uint64_t nr_pages, space_fn fn, void *ctx)
{
	nr_looks++;
	return __real_space_each_lacking(space, origin, nr_pages, fn, ctx);
}

bool __wrap_page_set_next(const struct page_set *set, uint64_t addr, uint64_t end, uint64_t max_pages,
			  struct run *run)
{
	nr_searches++;
	return __real_page_set_next(set, addr, end, max_pages, run);
}

static void lose(uint64_t page, uint32_t nr, uint64_t expected)
{
	const struct splice_vm_run run = { .addr = (uintptr_t)few.area + page * P, .nr_pages = nr };
	struct error err = { 0 };
	uint64_t lost;

	assert_int_equal(lost_pages_take(&few.mm, false, &run, 1, &lost, &err), 0);
	assert_int_equal(lost, expected);
}

static void end(uint64_t expected)
{
	struct error err = { 0 };
	uint64_t lost;

	assert_int_equal(lost_pages_end(&few.mm, false, &lost, &err), 0);
	assert_int_equal(lost, expected);
}

static void populate(void)
{
	struct error err = { 0 };
	enum step step;

	mm_lock(&few.mm);
	do {
		step = populate_step(&few.mm, &err);
	} while (step == STEP_DID || step == STEP_AGAIN);
	assert_int_equal(step, STEP_IDLE);
	mm_unlock(&few.mm);
}

static void come(uint64_t page)
{
	static const uint8_t data[P] = { 1 };
	struct error err = { 0 };

	assert_int_equal(late_pages_take(&few.mm, (uintptr_t)few.area + page * P, 1, data, false, &err),
			 0);
}

static bool done(void)
{
	bool ret;

	mm_lock(&few.mm);
	ret = spaces_done(&few.mm);
	mm_unlock(&few.mm);
	return ret;
}

static bool must_end(void)
{
	bool ret;

	mm_lock(&few.mm);
	ret = lost_pages_must_end(&few.mm);
	mm_unlock(&few.mm);
	return ret;
}

static void need_poison(void)
{
	if (!few.mm.no_poison)
		return;
	take_down_few();
	print_message("this kernel has no UFFDIO_POISON\n");
	skip();
}

/* A child of the test's process. The handlers of the test's framework are not for it. */
static pid_t child_that_reads(const volatile uint8_t *at)
{
	sighandler_t before = signal(SIGBUS, SIG_DFL);
	pid_t pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (!pid)
		_exit(*at);
	signal(SIGBUS, before);
	assert_true(pid > 0);
	return pid;
}

/* The signal that the child got; 0: it read something */
static int signal_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void *read_page(void *page)
{
	atomic_store(&few.tid[0], gettid());
	return (void *)(uintptr_t)*(volatile uint8_t *)page;
}

/* The same in a system call, without a signal. */
static bool is_bad(uint64_t page)
{
	int fd[2], ret;

	assert_int_equal(pipe(fd), 0);
	ret = write(fd[1], few.area + page * P, 1);
	assert_true(ret == 1 || errno == EFAULT);
	close(fd[0]);
	close(fd[1]);
	return ret != 1;
}

/* A process that touches it gets SIGBUS; the others are as they were, and nothing is waited for. */
static void test_bad_page(void **state)
{
	need_uffd();
	set_up_few(1);
	lose(2, 1, 1);
	populate();
	need_poison();
	assert_false(done());
	come(1);
	come(3);
	populate();
	assert_true(done());
	assert_false(must_end());
	assert_int_equal(few.mm.counts.lost, 1);
	assert_int_equal(few.mm.lost.nr, 0);
	start_reader();
	for (uint64_t page = 0; page < FEW; page++) {
		assert_int_equal(is_bad(page), page == 2);
		assert_int_equal(signal_of(child_that_reads(few.area + page * P)),
				 page == 2 ? SIGBUS : 0);
	}
	mm_close_uffds(&few.mm);
	assert_true(is_bad(2));
	take_down_few();
}

static void *touch_body(void *arg)
{
	atomic_store(&few.tid[0], gettid());
	return is_bad(2) ? arg : NULL;
}

/* A thread waits for the page already. */
static void test_waiting(void **state)
{
	pthread_t thread;
	void *bus;

	need_uffd();
	set_up_few(0);
	start_reader();
	pthread_create(&thread, NULL, touch_body, few.area);
	wait_asleep(0);
	lose(2, 1, 1);
	populate();
	need_poison();
	pthread_join(thread, &bus);
	assert_ptr_equal(bus, few.area);
	take_down_few();
}

/* The thread that answers faults looks first, before the populating one has come by. */
static void test_fault_looks_first(void **state)
{
	struct error err = { 0 };
	pthread_t thread;
	void *bus;

	need_uffd();
	set_up_few(0);
	pthread_create(&thread, NULL, touch_body, few.area);
	wait_asleep(0);
	mm_lock(&few.mm);
	assert_int_equal(events_read(&few.mm, few.mm.spaces.list[0], &err), 0);
	mm_unlock(&few.mm);
	lose(2, 1, 1);
	mm_lock(&few.mm);
	assert_int_equal(events_retry(&few.mm, &err), 0);
	mm_unlock(&few.mm);
	start_reader();
	need_poison();
	pthread_join(thread, &bus);
	assert_ptr_equal(bus, few.area);
	take_down_few();
}

/* The FORK was read. */
static void wait_forked(void)
{
	bool forked = false;

	while (!forked) {
		mm_lock(&few.mm);
		forked = few.mm.spaces.nr > 1;
		mm_unlock(&few.mm);
		usleep(1000);
	}
}

/* A page that has moved since, and that a child lacks too. */
static void test_moved_and_forked(void **state)
{
	pid_t pid;

	need_uffd();
	set_up_few(0);
	start_reader();
	assert_ptr_equal(mremap(few.area + 2 * P, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, few.other),
			 few.other);
	pid = child_that_reads(few.other);
	wait_forked();
	lose(2, 1, 1);
	populate();
	need_poison();
	assert_int_equal(signal_of(pid), SIGBUS);
	take_down_few();
}

/* What came before, or was dropped here, is not lost. */
static void test_not_lacking(void **state)
{
	need_uffd();
	set_up_few(1);
	start_reader();
	come(1);
	assert_int_equal(madvise(few.area + 2 * P, P, MADV_DONTNEED), 0);
	lose(0, FEW, 1);
	take_down_few();
}

/* Killed at the source when all had come: it was a copy. */
static void test_ended_when_whole(void **state)
{
	need_uffd();
	set_up_few(FEW);
	start_reader();
	populate();
	end(0);
	assert_false(must_end());
	assert_true(done());
	take_down_few();
}

/* Killed at the source: it reads neither zeros nor anything else until it is killed here. */
static void test_ended(void **state)
{
	pthread_t thread;
	struct space *space;

	need_uffd();
	set_up_few(1);
	start_reader();
	end(FEW - 1);
	populate();
	assert_true(must_end());
	assert_false(done());
	pthread_create(&thread, NULL, read_page, few.area + 2 * P);
	wait_asleep(0);
	assert_true(lacks(few.area + 2 * P));
	assert_false(few.mm.no_poison);
	/* it is killed */
	come(2);
	assert_true(lacks(few.area + 2 * P));
	mm_lock(&few.mm);
	space = few.mm.spaces.list[0];
	uffd_unregister(space->uffd, (uintptr_t)few.area, FEW * P);
	spaces_bury(&few.mm, space);
	mm_unlock(&few.mm);
	pthread_join(thread, NULL);
	assert_false(must_end());
	assert_true(done());
	assert_int_equal(few.mm.lost.nr, 0);
	take_down_few();
}

static int searches_of_done(void)
{
	nr_searches = 0;
	assert_false(done());
	return nr_searches;
}

/* Page after page is lost, or comes: none of them has all those before it looked at again. */
static void test_many_without_poison(void **state)
{
	int first;

	need_uffd();
	set_up_few(0);
	few.mm.no_poison = true;
	start_reader();
	nr_looks = 0;
	lose(0, 1, 1);
	lose(2, 1, 1);
	assert_int_equal(nr_looks, 1);
	come(1);
	first = searches_of_done();
	assert_true(searches_of_done() < first);
	come(3);
	assert_true(must_end());
	take_down_few();
}

/* Before Linux 6.6: the process must end; a child that was forked here waits, and is not waited for. */
static void test_without_poison(void **state)
{
	struct space *first;
	pid_t pid;

	need_uffd();
	set_up_few(1);
	few.mm.no_poison = true;
	start_reader();
	pid = child_that_reads(few.area + 2 * P);
	wait_forked();
	lose(2, 1, 1);
	populate();
	assert_true(must_end());
	come(1);
	come(3);
	populate();
	assert_false(done());
	mm_lock(&few.mm);
	first = few.mm.spaces.list[0];
	uffd_unregister(first->uffd, (uintptr_t)few.area, FEW * P);
	spaces_bury(&few.mm, first);
	mm_unlock(&few.mm);
	assert_true(done());
	assert_int_equal(few.mm.spaces.list[1]->todo.nr, 1);
	/* it did not read zeros */
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	take_down_few();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_page), cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_fault_looks_first),
		cmocka_unit_test(test_moved_and_forked), cmocka_unit_test(test_not_lacking),
		cmocka_unit_test(test_ended_when_whole), cmocka_unit_test(test_ended),
		cmocka_unit_test(test_without_poison), cmocka_unit_test(test_many_without_poison),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
