// SPDX-License-Identifier: GPL-2.0
/*
 * Events of a userfaultfd in an order that the threads of a program can bring about, one case a
 * test: the test itself decides when they are read. Linked with --wrap=page_set_add: memory is
 * short.
 */
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
#include "dest/events.h"
#include "dest/late_pages.h"
#include "dest/populate.h"
#include "dest/spaces.h"
#include "tests/few_pages.h"
#include "tests/real_sets.h"
#include "tests/real_walks.h"

/* Once a page came, a child that has ended lacks nothing any longer: what only it lacked is let go. */
static void test_child_gone(void **state)
{
	static const uint8_t data[P] = { 1 };
	struct error err = { 0 };
	pid_t pid;

	need_uffd();
	set_up_few(0);
	start_reader();
	pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (!pid)
		for (;;)
			syscall(SYS_pause);
	assert_true(pid > 0);
	assert_int_equal(madvise(few.area, (FEW - 1) * P, MADV_DONTNEED), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(late_pages_take(&few.mm, (uintptr_t)few.area + (FEW - 1) * P, 1, data, false,
				     &err), 0);
	mm_lock(&few.mm);
	assert_true(spaces_done(&few.mm));
	assert_int_equal(few.mm.spaces.nr, 2);
	assert_int_equal(few.mm.wanted.pages.nr, 0);
	assert_int_equal(few.mm.mirror.have.nr, 0);
	mm_unlock(&few.mm);
	take_down_few();
}

static void *move_away(void *arg)
{
	atomic_store(&few.tid[0], gettid());
	return mremap(few.area, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, few.other);
}

static void *move_over(void *arg)
{
	atomic_store(&few.tid[1], gettid());
	return mremap(few.area + P, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, few.area);
}

/*
 * A mapping is moved away, and before the kernel says that its old place is unmapped, another
 * thread has moved a mapping there: the pages of this one are still to come.
 */
static void test_moved_over(void **state)
{
	pthread_t away, over;
	void *at;

	need_uffd();
	set_up_few(0);
	pthread_create(&away, NULL, move_away, NULL);
	wait_asleep(0);
	pthread_create(&over, NULL, move_over, NULL);
	wait_asleep(1);
	start_reader();
	pthread_join(away, &at);
	assert_ptr_equal(at, few.other);
	pthread_join(over, &at);
	assert_ptr_equal(at, few.area);
	assert_true(lacks(few.other));
	assert_true(lacks(few.area));
	assert_false(lacks(few.area + P));
	/* what is unmapped where it always was is of no interest */
	assert_true(lacks(few.area + 2 * P));
	assert_int_equal(munmap(few.area + 2 * P, P), 0);
	assert_false(lacks(few.area + 2 * P));
	take_down_few();
}

/* What was moved and then unmapped leaves nothing for a mapping that grows over the place. */
static void test_grown_over(void **state)
{
	uint8_t data[P], *to;
	struct error err = { 0 };

	need_uffd();
	set_up_few(0);
	to = few.area + 3 * P;
	memset(data, 0x5a, P);
	start_reader();
	assert_ptr_equal(mremap(few.area, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	assert_true(lacks(to));
	assert_int_equal(munmap(to, P), 0);
	/* nobody says when the last event is dealt with */
	for (int i = 0; i < 1000 && lacks(to); i++)
		usleep(10000);
	assert_false(lacks(to));
	assert_ptr_equal(mremap(few.area + 2 * P, P, 2 * P, 0), few.area + 2 * P);
	assert_int_equal(late_pages_take(&few.mm, (uintptr_t)few.area, 1, data, false, &err), 0);
	assert_int_equal(*(volatile uint8_t *)to, 0);
	take_down_few();
}

/* Moved away and back: the unmapping of the first move is read after the second one's REMAP. */
static void *move_back(void *arg)
{
	atomic_store(&few.tid[1], gettid());
	return mremap(few.other, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, few.area);
}

static void test_moved_back(void **state)
{
	pthread_t away, back;
	void *at;

	need_uffd();
	set_up_few(0);
	pthread_create(&away, NULL, move_away, NULL);
	wait_asleep(0);
	pthread_create(&back, NULL, move_back, NULL);
	wait_asleep(1);
	start_reader();
	pthread_join(away, &at);
	pthread_join(back, &at);
	assert_ptr_equal(at, few.area);
	assert_true(lacks(few.area));
	assert_false(lacks(few.other));
	take_down_few();
}

/* Ends with what the page holds in the child. */
static void *fork_reader(void *page)
{
	int status = -1;
	pid_t pid;

	atomic_store(&few.tid[1], gettid());
	pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (!pid)
		syscall(SYS_exit_group, *(volatile uint8_t *)page);
	waitpid(pid, &status, 0);
	return (void *)(intptr_t)(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static struct space *wait_child(void)
{
	struct space *child = NULL;

	for (int i = 0; i < 1000 && !child; i++) {
		usleep(10000);
		mm_lock(&few.mm);
		if (few.mm.spaces.nr > 1 && !few.mm.spaces.list[1]->born_of &&
		    !few.mm.spaces.list[1]->unsure.nr)
			child = few.mm.spaces.list[1];
		mm_unlock(&few.mm);
	}
	assert_non_null(child);
	return child;
}

/* The child has the page at @in_child alone; it comes, and the child reads it. */
static void check_child(pthread_t forker, uint8_t *in_child, uint8_t *not_there)
{
	uint8_t data[P];
	struct error err = { 0 };
	struct space *child = wait_child();
	void *value;

	mm_lock(&few.mm);
	assert_true(page_set_has(&child->todo, (uintptr_t)in_child));
	assert_false(page_set_has(&child->todo, (uintptr_t)not_there));
	mm_unlock(&few.mm);
	memset(data, 0x5a, P);
	assert_int_equal(late_pages_take(&few.mm, (uintptr_t)few.area, 1, data, false, &err), 0);
	pthread_join(forker, &value);
	assert_ptr_equal(value, (void *)0x5a);
	assert_int_equal(child->orphans, 0);
}

/* The child was copied before the mapping moved, but REMAP is read before FORK. */
static void test_forked_before(void **state)
{
	pthread_t forker, mover;

	need_uffd();
	set_up_few(0);
	pthread_create(&forker, NULL, fork_reader, few.area);
	wait_asleep(1);
	pthread_create(&mover, NULL, move_away, NULL);
	wait_asleep(0);
	atomic_store(&swap_in, few.mm.spaces.list[0]->uffd);
	start_reader();
	check_child(forker, few.area, few.other);
	assert_int_equal(atomic_load(&swap_in), -1);
	pthread_join(mover, NULL);
	take_down_few();
}

/* The child was copied after the mapping had moved, but FORK is read before REMAP. */
static void test_forked_after(void **state)
{
	pthread_t forker, mover;

	need_uffd();
	set_up_few(0);
	pthread_create(&mover, NULL, move_away, NULL);
	wait_asleep(0);
	pthread_create(&forker, NULL, fork_reader, few.other);
	wait_asleep(1);
	atomic_store(&swap_in, few.mm.spaces.list[0]->uffd);
	start_reader();
	check_child(forker, few.other, few.area);
	assert_int_equal(atomic_load(&swap_in), -1);
	pthread_join(mover, NULL);
	take_down_few();
}

static void *unmap_first(void *arg)
{
	atomic_store(&few.tid[0], gettid());
	munmap(few.area, P);
	return NULL;
}

/* The child was copied before the page was unmapped, but UNMAP is read before FORK. */
static void test_forked_before_unmap(void **state)
{
	pthread_t forker, unmapper;

	need_uffd();
	set_up_few(0);
	pthread_create(&forker, NULL, fork_reader, few.area);
	wait_asleep(1);
	pthread_create(&unmapper, NULL, unmap_first, NULL);
	wait_asleep(0);
	atomic_store(&swap_in, few.mm.spaces.list[0]->uffd);
	start_reader();
	check_child(forker, few.area, few.other);
	assert_int_equal(atomic_load(&swap_in), -1);
	pthread_join(unmapper, NULL);
	assert_false(lacks(few.area));
	take_down_few();
}

static void *touch_first(void *arg)
{
	atomic_store(&few.tid[0], gettid());
	return (void *)(uintptr_t)*(volatile uint8_t *)few.area;
}

static void *drop_last(void *arg)
{
	atomic_store(&few.tid[1], gettid());
	madvise(few.area + (FEW - 1) * P, P, MADV_DONTNEED);
	return NULL;
}

/* Who populates reads a fault that has to wait for an event: the thread of faults is woken. */
static void test_fault_handed_on(void **state)
{
	pthread_t dropper, toucher;
	struct error err = { 0 };
	unsigned int kicks;
	void *value;

	need_uffd();
	set_up_few(2);
	pthread_create(&dropper, NULL, drop_last, NULL);
	wait_asleep(1);
	pthread_create(&toucher, NULL, touch_first, NULL);
	wait_asleep(0);
	kicks = atomic_load(&mm_kicks);
	mm_lock(&few.mm);
	assert_int_equal(populate_step(&few.mm, &err), STEP_AGAIN);
	assert_true(few.mm.spaces.retry);
	mm_unlock(&few.mm);
	assert_true(atomic_load(&mm_kicks) > kicks);
	start_reader();
	pthread_join(dropper, NULL);
	pthread_join(toucher, &value);
	assert_ptr_equal(value, (void *)1);
	take_down_few();
}

static void *grow_locked(void *arg)
{
	void *at = mremap(few.area, P, 3 * P, MREMAP_MAYMOVE | MREMAP_FIXED, few.other);

	atomic_store(&few.tid[0], 1);
	return at;
}

/* Locked memory is moved and grows: the kernel touches the new pages before it says REMAP. */
static void test_locked_grows(void **state)
{
	pthread_t grower;

	need_uffd();
	set_up_few(FEW);
	start_reader();
	/* ASAN's mlock() does nothing */
	assert_int_equal(syscall(SYS_mlock, few.area, P), 0);
	pthread_create(&grower, NULL, grow_locked, NULL);
	for (int i = 0; i < 6000 && !atomic_load(&few.tid[0]); i++)
		usleep(10000);
	if (!atomic_load(&few.tid[0]))
		fail_msg("mremap() does not return");
	pthread_join(grower, NULL);
	assert_int_equal(few.other[0], 1);
	assert_int_equal(few.other[P] + few.other[2 * P], 0);
	take_down_few();
}

static bool is_waiting(const struct space *space)
{
	bool ret;

	mm_lock(&few.mm);
	ret = space->nr_waiting;
	mm_unlock(&few.mm);
	return ret;
}

#define FAR_BYTES	(128UL << 30)

/* In memory of which no set has a member. */
static uint8_t *far;

static void *touch_far(void *arg)
{
	atomic_store(&few.tid[0], gettid());
	return (void *)(uintptr_t)*(volatile uint8_t *)far;
}

/* A hole at the old place could be taken for memory of a thread. */
static void *move_far(void *arg)
{
	atomic_store(&few.tid[1], gettid());
	return mremap(few.area, P, P, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, far);
}

static atomic_bool no_memory;

/* tests/test_page_set.c sees that a set without memory says so, and stays as it was. */
int __wrap_page_set_add(struct page_set *set, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	if (atomic_load(&no_memory))
		return error_set(err, CODE_NOT_READY, NULL, "no memory");
	return __real_page_set_add(set, addr, nr_pages, err);
}

static int read_without_memory(struct error *err)
{
	int ret;

	mm_lock(&few.mm);
	atomic_store(&no_memory, true);
	ret = events_read(&few.mm, few.mm.spaces.list[0], err);
	atomic_store(&no_memory, false);
	mm_unlock(&few.mm);
	return ret;
}

/* An event that could not be recorded: the page at its new place waits, and is not read as zeros. */
static void test_no_memory_for_event(void **state)
{
	static const uint8_t data[P] = { 1 };
	struct space *space;
	pthread_t mover, toucher;
	struct error err = { 0 };

	need_uffd();
	set_up_few(1);
	far = map_pages(PROT_NONE, FAR_BYTES / P);
	space = few.mm.spaces.list[0];
	pthread_create(&mover, NULL, move_far, NULL);
	wait_asleep(1);
	assert_int_equal(read_without_memory(&err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	start_reader();
	pthread_join(mover, NULL);
	pthread_create(&toucher, NULL, touch_far, NULL);
	wait_asleep(0);
	for (int i = 0; i < 1000 && !is_waiting(space); i++)
		usleep(10000);
	assert_true(is_waiting(space));
	assert_int_equal(late_pages_take(&few.mm, (uintptr_t)few.area + P, 1, data, false, &err), 0);
	mm_lock(&few.mm);
	assert_int_equal(populate_step(&few.mm, &err), STEP_IDLE);
	assert_int_equal(few.mm.spaces.zero + few.mm.counts.from_mirror, 0);
	assert_false(spaces_done(&few.mm));
	mm_unlock(&few.mm);
	take_down_few();
	pthread_join(toucher, NULL);
	munmap(far, FAR_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_gone),
		cmocka_unit_test(test_moved_over),
		cmocka_unit_test(test_grown_over),
		cmocka_unit_test(test_moved_back),
		cmocka_unit_test(test_forked_before),
		cmocka_unit_test(test_forked_after),
		cmocka_unit_test(test_forked_before_unmap),
		cmocka_unit_test(test_fault_handed_on),
		cmocka_unit_test(test_locked_grows),
		cmocka_unit_test(test_no_memory_for_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
