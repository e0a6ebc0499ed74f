// SPDX-License-Identifier: GPL-2.0
/* A restored task that lacks pages: this process, with a page server that answers when the test lets it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "services/lazy_task.h"
#include "tests/criu_images.h"
#include "tests/own_uffd.h"

#define PAGES	8UL
#define P	PAGE_BYTES
#define BLOCK	32UL	/* pages; half of the area is in one block, half in the next */

static struct scene {
	struct test_dir dir;
	uint8_t *map, *area;
	struct lazy_link link;
	struct lazy_memory *memory;
	struct lazy_task *task;
	int far, epoll;
} scene;

static void put_pagemap(uint32_t flags)
{
	struct error err = { 0 };
	struct image_out out;

	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put_head(&out, 5);
	pagemap_put(&out, (uintptr_t)scene.area, PAGES, flags);
	assert_int_equal(image_out_store(&out, scene.dir.fd, "pagemap-77.img", &err), 0);
	image_out_free(&out);
}

static void set_up(bool remote)
{
	struct error err = { 0 };
	int fds[2], uffd;

	memset(&scene, 0, sizeof(scene));
	dir_make(&scene.dir);
	scene.map = mmap(NULL, 3 * BLOCK * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(scene.map != MAP_FAILED);
	scene.area = scene.map + 2 * BLOCK * P - (uintptr_t)scene.map % (BLOCK * P) - PAGES / 2 * P;
	uffd = make_uffd(scene.area, PAGES);
	assert_true(uffd >= 0);
	put_pagemap(PAGEMAP_LAZY | (remote ? 0 : PAGEMAP_PRESENT));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(lazy_link_init(&scene.link, &err), 0);
	lazy_link_use(&scene.link, fds[0], NULL);
	scene.far = fds[1];
	scene.epoll = epoll_create1(EPOLL_CLOEXEC);
	scene.memory = lazy_memory_new(scene.dir.fd, TEST_PID, remote ? &scene.link : NULL, &err);
	assert_non_null(scene.memory);
	scene.task = lazy_task_new(scene.memory, scene.epoll, NULL, 0, uffd, &err);
	assert_non_null(scene.task);
	lazy_task_ready(scene.task);
}

static void take_down(void)
{
	lazy_task_free(scene.task);
	lazy_memory_free(scene.memory);
	lazy_link_free(&scene.link);
	close(scene.far);
	close(scene.epoll);
	munmap(scene.map, 3 * BLOCK * P);
	dir_remove(&scene.dir);
}

/* The page server's side of the next GET. Return: number of its pages */
static uint64_t next_get(uint64_t *page)
{
	uint8_t raw[PAGE_COMMAND_NARROW];
	struct page_command get;
	struct error err = { 0 };

	assert_int_equal(lazy_link_send(&scene.link, &err), 0);
	if (recv(scene.far, raw, sizeof(raw), MSG_DONTWAIT) != sizeof(raw))
		return 0;
	page_command_get(raw, sizeof(raw), &get);
	*page = (get.addr - (uintptr_t)scene.area) / P;
	return get.nr_pages;
}

static void answer(uint64_t page, uint64_t nr_pages, uint8_t content)
{
	const struct page_command head = {
		.id = PAGE_COMMAND_ADD_FLAGS, .flags = PAGEMAP_PRESENT, .nr_pages = nr_pages,
		.addr = (uintptr_t)scene.area + page * P, .target = TEST_PID,
	};
	uint8_t raw[PAGE_COMMAND_NARROW], pages[PAGES * P];
	struct error err = { 0 };

	memset(pages, content, sizeof(pages));
	page_command_put(raw, sizeof(raw), &head);
	assert_int_equal(send(scene.far, raw, sizeof(raw), 0), sizeof(raw));
	assert_int_equal(send(scene.far, pages, nr_pages * P, 0), nr_pages * P);
	assert_int_equal(lazy_link_receive(&scene.link, lazy_memory_came, &err), 1);
}

static void task_test_background(void **state)
{
	struct error err = { 0 };
	uint64_t page;

	set_up(true);
	assert_int_equal(lazy_task_background(scene.task, 3, &err), 1);
	assert_int_equal(lazy_task_background(scene.task, 64, &err), 1);
	/* all is asked for, and nothing twice */
	assert_int_equal(lazy_task_background(scene.task, 64, &err), 0);
	assert_int_equal(next_get(&page), 3);
	assert_int_equal(page, 0);
	assert_int_equal(next_get(&page), 5);
	assert_int_equal(page, 3);
	assert_int_equal(next_get(&page), 0);
	answer(0, 3, 1);
	assert_false(lazy_task_is_done(scene.task));
	assert_int_equal(lazy_task_lacks(scene.task), 5);
	/* the rest of a short answer is asked for again */
	answer(3, 2, 2);
	assert_int_equal(next_get(&page), 3);
	assert_int_equal(page, 5);
	answer(5, 3, 3);
	assert_true(lazy_task_is_done(scene.task));
	assert_int_equal(scene.area[0], 1);
	assert_int_equal(scene.area[3 * P], 2);
	assert_int_equal(scene.area[8 * P - 1], 3);
	assert_int_equal(scene.memory->asked.nr, 0);
	take_down();
}

static atomic_int seen;

static void *touch(void *at)
{
	atomic_store(&seen, *(volatile uint8_t *)at);
	return NULL;
}

static void fault(uint64_t page, pthread_t *thread)
{
	struct epoll_event event;
	struct error err = { 0 };

	atomic_store(&seen, -1);
	pthread_create(thread, NULL, touch, scene.area + page * P);
	assert_int_equal(epoll_wait(scene.epoll, &event, 1, 10000), 1);
	assert_int_equal(lazy_task_events(scene.task, event.data.ptr, &err), 0);
}

/* A thread that waits for a page while the connection is lost waits on, and gets the page when there is another. */
static void task_test_lost(void **state)
{
	struct error err = { 0 };
	pthread_t thread;
	uint64_t page;
	int fds[2];

	set_up(true);
	fault(2, &thread);
	assert_int_equal(next_get(&page), 4);
	assert_int_equal(page, 0);
	lazy_link_lost(&scene.link);
	lazy_memory_lost(scene.memory);
	assert_int_equal(lazy_task_retry(scene.task, &err), 0);
	assert_int_equal(lazy_task_background(scene.task, 64, &err), 1);
	usleep(100000);
	assert_int_equal(atomic_load(&seen), -1);
	assert_int_equal(scene.task->set.zero, 0);
	close(scene.far);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	lazy_link_use(&scene.link, fds[0], NULL);
	scene.far = fds[1];
	scene.task->set.retry = true;
	assert_int_equal(lazy_task_retry(scene.task, &err), 0);
	assert_int_equal(next_get(&page), 4);
	assert_int_equal(page, 0);
	answer(0, 4, 9);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&seen), 9);
	take_down();
}

/* A fault brings what is lacking on both sides of its page, up to the borders of a block, and what was asked for not again. */
static void task_test_around(void **state)
{
	struct error err = { 0 };
	pthread_t threads[2];
	uint64_t page;

	set_up(true);
	assert_int_equal(lazy_task_background(scene.task, 1, &err), 1);
	assert_int_equal(next_get(&page), 1);
	fault(2, &threads[0]);
	assert_int_equal(next_get(&page), 3);
	assert_int_equal(page, 1);
	fault(7, &threads[1]);
	assert_int_equal(next_get(&page), 4);
	assert_int_equal(page, 4);
	answer(0, 1, 1);
	answer(1, 3, 2);
	pthread_join(threads[0], NULL);
	/* a short answer has other pages than that of the fault */
	answer(4, 2, 3);
	assert_int_equal(next_get(&page), 2);
	assert_int_equal(page, 6);
	answer(6, 2, 4);
	pthread_join(threads[1], NULL);
	assert_int_equal(atomic_load(&seen), 4);
	assert_int_equal(scene.area[2 * P], 2);
	assert_true(lazy_task_is_done(scene.task));
	assert_false(error_is_set(&err));
	take_down();
}

/* The image is too short: the thread waits; then it is whole. */
static void task_test_late_image(void **state)
{
	uint8_t pages[PAGES * P];
	struct error err = { 0 };
	pthread_t thread;

	set_up(false);
	memset(pages, 7, sizeof(pages));
	file_write(scene.dir.fd, "pages-5.img", pages, 2 * P);
	fault(4, &thread);
	assert_true(scene.memory->late);
	assert_int_equal(lazy_task_background(scene.task, 64, &err), 1);
	assert_int_equal(lazy_task_background(scene.task, 64, &err), 0);
	usleep(100000);
	assert_int_equal(atomic_load(&seen), -1);
	file_write(scene.dir.fd, "pages-5.img", pages, sizeof(pages));
	scene.task->set.retry = true;
	assert_int_equal(lazy_task_retry(scene.task, &err), 0);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&seen), 7);
	while (lazy_task_background(scene.task, 64, &err) > 0)
		;
	assert_true(lazy_task_is_done(scene.task));
	assert_false(error_is_set(&err));
	take_down();
}

/* On a new connection one page is asked for, also when nobody lacks it; an answer that nobody needs does no harm. */
static void task_test_any(void **state)
{
	struct error err = { 0 };
	uint64_t page;

	set_up(true);
	assert_int_equal(lazy_task_background(scene.task, 64, &err), 1);
	assert_int_equal(next_get(&page), PAGES);
	answer(0, PAGES, 5);
	assert_true(lazy_task_is_done(scene.task));
	assert_int_equal(lazy_memory_ask_any(scene.memory, &err), 1);
	assert_int_equal(next_get(&page), 1);
	answer(page, 1, 6);
	assert_int_equal(scene.area[page * P], 5);
	assert_int_equal(scene.memory->asked.nr, 0);
	assert_false(error_is_set(&err));
	take_down();
}

/* No two turns have the same pair, as long as there are others. */
static void task_test_known(void **state)
{
	bool had[PAGES][PAGES] = { 0 };
	struct lazy_page known[2];
	struct error err = { 0 };

	set_up(true);
	for (uint64_t turn = 0; turn < PAGES * (PAGES - 1); turn++) {
		uint64_t at[2];

		assert_int_equal(lazy_memory_known(scene.memory, turn, known, &err), 0);
		for (int i = 0; i < 2; i++) {
			at[i] = (known[i].addr - (uintptr_t)scene.area) / P;
			assert_true(known[i].target == TEST_PID && at[i] < PAGES);
		}
		assert_true(at[0] != at[1] && !had[at[0]][at[1]]);
		had[at[0]][at[1]] = true;
	}
	take_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(task_test_background),
		cmocka_unit_test(task_test_lost),
		cmocka_unit_test(task_test_around),
		cmocka_unit_test(task_test_late_image),
		cmocka_unit_test(task_test_any),
		cmocka_unit_test(task_test_known),
	};

	need_uffd();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
