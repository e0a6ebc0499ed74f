/* SPDX-License-Identifier: GPL-2.0 */
/* A few missing pages in the test's own process. Included after cmocka.h. */
#ifndef MIGRATE_TESTS_FEW_PAGES_H
#define MIGRATE_TESTS_FEW_PAGES_H

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "dest/events.h"
#include "dest/mm.h"
#include "dest/spaces.h"
#include "tests/mm_hooks.h"
#include "tests/own_uffd.h"

#define P		PAGE_BYTES
#define FEW		4UL

/* A few pages that all lack, with a userfaultfd whose events the test reads when it likes. */
static struct few {
	struct mm mm;
	uint8_t *area, *other;
	atomic_int tid[2];
	atomic_bool stop;
	pthread_t reader;
} few;

/* The first two events that are read together from this descriptor change places. */
static atomic_int swap_in = -1;

/* The next REMAP has this length, as Linux 6.12 tells of an mremap() that shrinks what it moves. */
static atomic_ulong long_remap;

ssize_t read(int fd, void *buf, size_t bytes)
{
	ssize_t ret = syscall(SYS_read, fd, buf, bytes);
	struct uffd_msg *msgs = buf, first;

	for (size_t i = 0; ret > 0 && i < ret / sizeof(first); i++)
		if (msgs[i].event == UFFD_EVENT_REMAP && atomic_load(&long_remap))
			msgs[i].arg.remap.len = atomic_exchange(&long_remap, 0);
	if (fd == atomic_load(&swap_in) && ret >= 2 * (ssize_t)sizeof(first)) {
		first = msgs[0];
		msgs[0] = msgs[1];
		msgs[1] = first;
		atomic_store(&swap_in, -1);
	}
	return ret;
}

static void *map_pages(int prot, uint64_t pages)
{
	void *at = mmap(NULL, pages * P, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

static void set_up_few(uint64_t in_mirror)
{
	static const uint8_t data[FEW * P] = { 1 };
	struct mirror_range range;
	struct splice_vm_run run;
	struct error err = { 0 };
	struct page_set lazy;
	uint64_t have, lack;

	memset(&few, 0, sizeof(few));
	few.area = map_pages(PROT_READ | PROT_WRITE, FEW);
	few.other = map_pages(PROT_NONE, FEW);
	range = (struct mirror_range){ (uintptr_t)few.area, (uintptr_t)few.area + FEW * P };
	run = (struct splice_vm_run){ .addr = range.start, .nr_pages = FEW };
	assert_int_equal(mm_init(&few.mm, &no_mm_hooks, &err), 0);
	assert_int_equal(mm_announce(&few.mm, &range, 1, &err), 0);
	if (in_mirror)
		assert_int_equal(mirror_write(&few.mm.mirror, range.start, in_mirror, data, &err), 0);
	assert_int_equal(mm_populate(&few.mm, &run, 1, &err), 0);
	mm_final(&few.mm, &have, &lack);
	page_set_init(&lazy);
	assert_int_equal(page_set_add(&lazy, range.start, FEW, &err), 0);
	assert_int_equal(mm_seal(&few.mm, &lazy, &err), 0);
	page_set_destroy(&lazy);
	assert_int_equal(spaces_attach(&few.mm, make_uffd(few.area, FEW), &err), 0);
	spaces_ready(&few.mm);
}

static void *reader_body(void *arg)
{
	struct error err = { 0 };

	while (!atomic_load(&few.stop)) {
		mm_lock(&few.mm);
		for (size_t i = 0; i < few.mm.spaces.nr; i++)
			events_read(&few.mm, few.mm.spaces.list[i], &err);
		events_retry(&few.mm, &err);
		mm_unlock(&few.mm);
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
	mm_destroy(&few.mm);
	munmap(few.area, FEW * P);
	munmap(few.other, FEW * P);
}

static bool lacks(const void *at)
{
	bool ret;

	mm_lock(&few.mm);
	ret = page_set_has(&few.mm.spaces.list[0]->todo, (uintptr_t)at);
	mm_unlock(&few.mm);
	return ret;
}

/* Thread @i has begun, and the kernel has put it to sleep: its event or fault stands in line. */
static inline void wait_asleep(int i)
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
