/* SPDX-License-Identifier: GPL-2.0 */
/* A few pages of the test's own process that lack. Included by one test, after cmocka.h. */
#ifndef MIGRATE_TESTS_FEW_PAGES_H
#define MIGRATE_TESTS_FEW_PAGES_H

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "dest/memory.h"
#include "tests/own_uffd.h"

#define P		PAGE_BYTES
#define FEW		4UL

/* A few pages that all lack, with a userfaultfd whose events the test reads when it likes. */
static struct few {
	struct memory mem;
	uint8_t *area, *other;
	atomic_int tid[2];
	atomic_bool stop;
	pthread_t reader;
} few;

/* The first two events that are read together from this descriptor change places. */
static atomic_int swap_in = -1;

ssize_t read(int fd, void *buf, size_t bytes)
{
	ssize_t ret = syscall(SYS_read, fd, buf, bytes);
	struct uffd_msg *msgs = buf, first;

	if (fd == atomic_load(&swap_in) && ret >= 2 * (ssize_t)sizeof(first)) {
		first = msgs[0];
		msgs[0] = msgs[1];
		msgs[1] = first;
		atomic_store(&swap_in, -1);
	}
	return ret;
}

static int hold(void *ctx, int uffd, int *handle, struct error *err)
{
	return 0;
}

static void release(void *ctx, int handle)
{
}

static int watch_nobody(void *ctx, struct space *space, bool on, struct error *err)
{
	return 0;
}

static void *map_pages(int prot, uint64_t pages)
{
	void *at = mmap(NULL, pages * P, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

static void set_up_few(uint64_t in_mirror)
{
	const struct memory_hooks hooks = {
		.hold = hold, .release = release, .watch = watch_nobody,
	};
	static const uint8_t data[FEW * P] = { 1 };
	struct store_range range;
	struct splice_vm_run run;
	struct error err = { 0 };
	struct page_set lazy;
	uint64_t have, lack;

	memset(&few, 0, sizeof(few));
	few.area = map_pages(PROT_READ | PROT_WRITE, FEW);
	few.other = map_pages(PROT_NONE, FEW);
	range = (struct store_range){ (uintptr_t)few.area, (uintptr_t)few.area + FEW * P };
	run = (struct splice_vm_run){ .addr = range.start, .nr_pages = FEW };
	assert_int_equal(memory_init(&few.mem, &hooks, &err), 0);
	assert_int_equal(memory_announce(&few.mem, &range, 1, &err), 0);
	if (in_mirror)
		assert_int_equal(store_write(&few.mem.store, range.start, in_mirror, data, &err), 0);
	assert_int_equal(memory_populate(&few.mem, &run, 1, &err), 0);
	memory_final(&few.mem, &have, &lack);
	assert_int_equal(page_set_init(&lazy), 0);
	page_set_add(&lazy, range.start, FEW);
	assert_int_equal(memory_seal(&few.mem, &lazy, &err), 0);
	page_set_destroy(&lazy);
	assert_int_equal(memory_attach(&few.mem, make_uffd(few.area, FEW), &err), 0);
	memory_ready(&few.mem);
}

static void *reader_body(void *arg)
{
	struct error err = { 0 };

	while (!atomic_load(&few.stop)) {
		memory_lock(&few.mem);
		for (size_t i = 0; i < few.mem.nr_spaces; i++)
			memory_events(&few.mem, few.mem.spaces[i], &err);
		memory_retry(&few.mem, &err);
		memory_unlock(&few.mem);
		usleep(1000);
	}
	return NULL;
}

static void start_reader(void)
{
	pthread_create(&few.reader, NULL, reader_body, NULL);
}

static void take_down_few(void)
{
	atomic_store(&few.stop, true);
	pthread_join(few.reader, NULL);
	memory_destroy(&few.mem);
	munmap(few.area, FEW * P);
	munmap(few.other, FEW * P);
}

static bool lacks(const void *at)
{
	bool ret;

	memory_lock(&few.mem);
	ret = page_set_has(&few.mem.spaces[0]->todo, (uintptr_t)at);
	memory_unlock(&few.mem);
	return ret;
}

/* Thread @i has begun, and the kernel has put it to sleep: its event or fault stands in line. */
static void wait_asleep(int i)
{
	char path[64], stat[256] = "", state = 'R';

	while (!atomic_load(&few.tid[i]))
		usleep(1000);
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&few.tid[i]));
	while (state == 'R') {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		usleep(10000);
		assert_true(fd >= 0);
		assert_true(read(fd, stat, sizeof(stat) - 1) > 0);
		close(fd);
		state = strrchr(stat, ')')[2];
	}
}

#endif
