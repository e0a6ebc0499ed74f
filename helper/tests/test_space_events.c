// SPDX-License-Identifier: GPL-2.0
/* Spaces with an owner that is the test: faults, drops, moves and forks of its own memory. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "pages/space_events.h"
#include "tests/own_uffd.h"

#define PAGES		8UL
#define BYTES		(PAGES * PAGE_BYTES)
#define LATER_MS	20000

/**
 * struct owner - @space: the first one; the others are of children
 * @absent: no page can be had now
 * @fills, @released, @born, @buried: calls, and pages of release()
 * @origin: at the source, of the last page that release() was called with
 */
struct owner {
	struct space_set set;
	struct space *space;
	uint8_t *area, *other, fill[PAGE_BYTES];
	pthread_mutex_t lock;
	pthread_t reader;
	atomic_bool stop, absent;
	atomic_uint fills, released, born, buried;
	uint64_t origin;
};

static struct owner owner;

static enum install fill(struct space_set *set, struct space *space, uint64_t addr, struct error *err)
{
	uint64_t done;

	owner.fills++;
	return owner.absent ? INSTALL_AGAIN : space_install(space, addr, 1, owner.fill, &done);
}

static void release(struct space_set *set, uint64_t origin, uint64_t nr_pages)
{
	owner.released += nr_pages;
	owner.origin = origin;
}

static void more(struct space_set *set)
{
}

static int born(struct space_set *set, struct space *child, struct error *err)
{
	owner.born++;
	return 0;
}

static void bury(struct space_set *set, struct space *space)
{
	owner.buried++;
	space->gone = true;
	space_set_empty_todo(set, space);
	close(space->uffd);
	space->uffd = -1;
}

static const struct space_set_ops ops = {
	.fill = fill, .release = release, .more = more, .born = born, .bury = bury,
};

static void *reader_body(void *arg)
{
	struct error err = { 0 };

	while (!owner.stop) {
		pthread_mutex_lock(&owner.lock);
		for (size_t i = 0; i < owner.set.nr; i++)
			space_events_read(&owner.set, owner.set.list[i], &err);
		if (owner.set.retry)
			space_events_retry(&owner.set, &err);
		pthread_mutex_unlock(&owner.lock);
		usleep(1000);
	}
	return NULL;
}

static uint8_t *map(int prot)
{
	return mmap(NULL, BYTES, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static int set_up(void **state)
{
	struct error err = { 0 };

	memset(&owner, 0, sizeof(owner));
	pthread_mutex_init(&owner.lock, NULL);
	memset(owner.fill, 7, sizeof(owner.fill));
	owner.set.ops = &ops;
	owner.area = map(PROT_READ | PROT_WRITE);
	owner.other = map(PROT_NONE);
	owner.space = space_new(make_uffd(owner.area, PAGES), &err);
	if (!owner.space || space_set_add(&owner.set, owner.space, &err) ||
	    page_set_add(&owner.space->todo, (uintptr_t)owner.area, PAGES - 1, &err))
		return -1;
	owner.space->ready = true;
	return pthread_create(&owner.reader, NULL, reader_body, NULL);
}

static int tear_down(void **state)
{
	owner.stop = true;
	pthread_join(owner.reader, NULL);
	/* an open one would wait for somebody who reads of munmap() */
	for (size_t i = 0; i < owner.set.nr; i++)
		if (owner.set.list[i]->uffd >= 0)
			close(owner.set.list[i]->uffd);
	space_set_free(&owner.set);
	munmap(owner.area, BYTES);
	munmap(owner.other, BYTES);
	return 0;
}

static bool lacks(const struct space *space, const void *at)
{
	bool ret;

	pthread_mutex_lock(&owner.lock);
	ret = page_set_has(&space->todo, (uintptr_t)at);
	pthread_mutex_unlock(&owner.lock);
	return ret;
}

static void wait_for(const atomic_uint *count, unsigned int wanted)
{
	for (int ms = 0; ms < LATER_MS && *count < wanted; ms++)
		usleep(1000);
	assert_int_equal(*count, wanted);
}

static void a_fault_asks_the_owner(void **state)
{
	need_uffd();
	assert_int_equal(*(volatile uint8_t *)owner.area, 7);
	assert_int_equal(owner.fills, 1);
	assert_false(lacks(owner.space, owner.area));
	/* a page that the source had not is zeros, and nobody is asked */
	assert_int_equal(owner.area[BYTES - 1], 0);
	assert_int_equal(owner.fills, 1);
	/* the reader counts when the program has its page already */
	pthread_mutex_lock(&owner.lock);
	assert_int_equal(owner.set.zero, 1);
	pthread_mutex_unlock(&owner.lock);
}

static void *touch(void *at)
{
	return (void *)(uintptr_t)*(volatile uint8_t *)at;
}

static void a_fault_waits_for_a_page_that_comes_later(void **state)
{
	pthread_t toucher;
	void *byte;

	need_uffd();
	owner.absent = true;
	assert_int_equal(pthread_create(&toucher, NULL, touch, owner.area + PAGE_BYTES), 0);
	wait_for(&owner.fills, 1);
	owner.absent = false;
	pthread_mutex_lock(&owner.lock);
	assert_int_equal(owner.space->nr_waiting, 1);
	owner.set.retry = true;
	pthread_mutex_unlock(&owner.lock);
	pthread_join(toucher, &byte);
	assert_int_equal((uintptr_t)byte, 7);
	assert_int_equal(owner.fills, 2);
}

static void what_is_dropped_is_released(void **state)
{
	need_uffd();
	assert_int_equal(madvise(owner.area + 2 * PAGE_BYTES, 2 * PAGE_BYTES, MADV_DONTNEED), 0);
	wait_for(&owner.released, 2);
	assert_false(lacks(owner.space, owner.area + 2 * PAGE_BYTES));
	assert_true(lacks(owner.space, owner.area + 4 * PAGE_BYTES));
	assert_int_equal(owner.area[2 * PAGE_BYTES], 0);
	assert_int_equal(owner.fills, 0);
}

static void what_moves_keeps_its_origin(void **state)
{
	uint64_t one = 1, origin;
	uint8_t *to;

	need_uffd();
	to = mremap(owner.area, PAGE_BYTES, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, owner.other);
	assert_ptr_equal(to, owner.other);
	/* the call returns when REMAP was read, which may be before the reader has acted */
	assert_true(lacks(owner.space, to));
	pthread_mutex_lock(&owner.lock);
	origin = space_origin(owner.space, (uintptr_t)to, &one);
	assert_true(space_set_needs(&owner.set, (uintptr_t)owner.area, 1));
	pthread_mutex_unlock(&owner.lock);
	assert_int_equal(origin, (uintptr_t)owner.area);
	assert_int_equal(*(volatile uint8_t *)to, 7);
	assert_false(lacks(owner.space, to));
}

/* The child lacks what its parent lacks; it ends, and nobody needs its pages. */
static void a_child_is_born_and_buried(void **state)
{
	const void *last = owner.area + (PAGES - 2) * PAGE_BYTES;
	pid_t pid;

	need_uffd();
	pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (!pid)
		for (;;)
			syscall(SYS_pause);
	assert_true(pid > 0);
	wait_for(&owner.born, 1);
	assert_true(lacks(owner.set.list[1], last));
	assert_int_equal(madvise((void *)last, PAGE_BYTES, MADV_DONTNEED), 0);
	wait_for(&owner.released, 1);
	assert_false(lacks(owner.space, last));
	pthread_mutex_lock(&owner.lock);
	assert_true(space_set_needs(&owner.set, (uintptr_t)last, 1));
	pthread_mutex_unlock(&owner.lock);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	pthread_mutex_lock(&owner.lock);
	assert_true(space_probe(owner.set.list[1]));
	pthread_mutex_unlock(&owner.lock);
	wait_for(&owner.buried, 1);
	assert_false(lacks(owner.set.list[1], last));
	pthread_mutex_lock(&owner.lock);
	assert_false(space_set_needs(&owner.set, (uintptr_t)last, 1));
	pthread_mutex_unlock(&owner.lock);
}

#define OWNER_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OWNER_TEST(a_fault_asks_the_owner),
		OWNER_TEST(a_fault_waits_for_a_page_that_comes_later),
		OWNER_TEST(what_is_dropped_is_released), OWNER_TEST(what_moves_keeps_its_origin),
		OWNER_TEST(a_child_is_born_and_buried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
