// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/maps.h"

static int parse(const char *text, struct vma_list *list, struct error *err)
{
	FILE *file = fmemopen((void *)text, strlen(text), "r");
	int ret = maps_parse(file, list, err);

	fclose(file);
	return ret;
}

static void maps_text(void **state)
{
	static const char text[] =
		"55d0-55d1 r--p 00000000 fe:00 1234                    /usr/bin/a b\n"
		"7f000000-7f001000 rw-p 00000000 00:00 0 \n"
		"7f001000-7f002000 rw-s 00000000 00:01 7               /dev/zero (deleted)\n"
		"7ffd0000-7ffd1000 rw-p 00000000 00:00 0               [stack]\n"
		"7ffe0000-7ffe1000 r-xp 00000000 00:00 0               [vdso]\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";
	struct vma_list list;
	struct error err = { 0 };

	assert_int_equal(parse(text, &list, &err), 0);
	assert_int_equal(list.nr, 5);
	assert_string_equal(list.vmas[0].name, "/usr/bin/a b");
	assert_int_equal(list.vmas[0].prot, PROT_READ);
	assert_false(list.vmas[0].anon);
	assert_true(vma_is_ours(&list.vmas[0]));
	assert_string_equal(list.vmas[1].name, "");
	assert_true(list.vmas[1].anon);
	assert_int_equal(list.vmas[1].prot, PROT_READ | PROT_WRITE);
	assert_true(list.vmas[2].shared);
	assert_false(vma_is_ours(&list.vmas[2]));
	assert_true(vma_is_ours(&list.vmas[3]));
	assert_true(list.vmas[4].special);
	assert_false(vma_is_ours(&list.vmas[4]));
	assert_ptr_equal(maps_find(&list, 0x7f000fff), &list.vmas[1]);
	assert_ptr_equal(maps_find(&list, 0x7f001000), &list.vmas[2]);
	assert_null(maps_find(&list, 0x7f002000));
	assert_null(maps_find(&list, 0));
	assert_null(maps_find(&list, ~0UL));
	maps_free(&list);
	assert_int_equal(list.nr, 0);
}

static void smaps_flags(void **state)
{
	static const char text[] =
		"1000-3000 rw-p 00000000 00:00 0 \n"
		"Size:                  8 kB\n"
		"Anonymous:             8 kB\n"
		"Swap:                  4 kB\n"
		"SwapPss:               4 kB\n"
		"VmFlags: rd wr mr mw me ac lo sd hg \n"
		"200000-400000 rw-p 00000000 00:0f 99   /anon_hugepage (deleted)\n"
		"KernelPageSize:     2048 kB\n"
		"MMUPageSize:        2048 kB\n"
		"Anonymous:             0 kB\n"
		"Shared_Hugetlb:     2048 kB\n"
		"Private_Hugetlb:    4096 kB\n"
		"VmFlags: rd wr mr mw me ht\n"
		"500000-501000 rw-p 00000000 00:00 0 \n"
		"VmFlags: rd wr um gd nh\n"
		"600000-601000 rw-p 00000000 00:06 8 /dev/mem\n"
		"VmFlags: rd wr pf io dd\n";
	struct vma_list list;
	struct error err = { 0 };

	assert_int_equal(parse(text, &list, &err), 0);
	assert_int_equal(list.nr, 4);
	assert_true(list.vmas[0].locked);
	assert_int_equal(list.vmas[0].own_bytes, 12 * 1024);
	assert_int_equal(list.vmas[1].own_bytes, 6 << 20);
	assert_int_equal(list.vmas[2].own_bytes, 0);
	assert_false(list.vmas[0].hugetlb);
	assert_true(vma_is_ours(&list.vmas[0]));
	assert_true(list.vmas[1].hugetlb);
	assert_int_equal(list.vmas[1].page_kib, 2048);
	assert_false(vma_is_ours(&list.vmas[1]));
	assert_true(list.vmas[2].uffd && list.vmas[2].growsdown);
	assert_true(list.vmas[0].huge_wanted && !list.vmas[0].huge_refused);
	assert_true(list.vmas[2].huge_refused && !list.vmas[2].huge_wanted);
	assert_true(list.vmas[3].io);
	assert_false(vma_is_ours(&list.vmas[3]));
	maps_free(&list);
}

static void odd_text(void **state)
{
	static const char *const wrong[] = {
		"3000-1000 rw-p 00000000 00:00 0 \n",
		"1000-1000 rw-p 00000000 00:00 0 \n",
		"1000-ffffffff00000000 rw-p 00000000 00:00 0 \n",
	};
	static const char *const nothing[] = {
		"x", "VmFlags: lo\n", "1000-2000\n", "1000-2000 rw\n", "-\n", "\n\n",
		"zzzz-1000 rw-p 00000000 00:00 0 \n",
	};
	struct vma_list list;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct error err = { 0 };

		assert_int_equal(parse(wrong[i], &list, &err), -1);
		assert_true(error_is_set(&err));
		assert_int_equal(list.nr, 0);
	}
	for (size_t i = 0; i < sizeof(nothing) / sizeof(*nothing); i++) {
		struct error err = { 0 };

		assert_int_equal(parse(nothing[i], &list, &err), 0);
		assert_int_equal(list.nr, 0);
		maps_free(&list);
	}
}

#define MAPPERS		4
#define ARENA_PAGES	64
#define STABLE		64
#define READS		1500

/** struct mapper - a thread that maps and unmaps pages of its arena, so that mappings merge */
struct mapper {
	pthread_t thread;
	char *arena;
	atomic_bool *stop;
	unsigned int seed;
};

static void *mapper_run(void *ctx)
{
	struct mapper *mapper = ctx;

	while (!*mapper->stop) {
		size_t at = rand_r(&mapper->seed) % ARENA_PAGES;
		size_t nr = 1 + rand_r(&mapper->seed) % (ARENA_PAGES - at);
		char *addr = mapper->arena + at * 4096;

		if (rand_r(&mapper->seed) % 3)
			mmap(addr, nr * 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
		else
			mprotect(addr, (nr + 1) / 2 * 4096, PROT_READ);
	}
	return NULL;
}

/* Pages with holes between them: these never change, so each list must have them. */
static char *stable_map(void)
{
	char *map = mmap(NULL, 2 * STABLE * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	for (size_t i = 0; i < STABLE; i++)
		munmap(map + (2 * i + 1) * 4096, 4096);
	return map;
}

static void check_list(const struct vma_list *list, const char *stable)
{
	for (size_t i = 0; i < list->nr; i++) {
		assert_true(list->vmas[i].start < list->vmas[i].end);
		if (i)
			assert_true(list->vmas[i].start >= list->vmas[i - 1].end);
	}
	for (size_t i = 0; i < STABLE; i++)
		assert_non_null(maps_find(list, (uintptr_t)stable + 2 * i * 4096));
}

/* The kernel gives a list in pieces, and mappings merge between two of them. */
static void mappers_at_work(void **state)
{
	static struct mapper mappers[MAPPERS];
	char *stable = stable_map();
	static atomic_bool stop;

	for (size_t i = 0; i < MAPPERS; i++) {
		mappers[i] = (struct mapper){ .stop = &stop, .seed = i + 1 };
		mappers[i].arena = mmap(NULL, ARENA_PAGES * 4096, PROT_READ,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(mappers[i].arena, MAP_FAILED);
		assert_int_equal(pthread_create(&mappers[i].thread, NULL, mapper_run,
						&mappers[i]), 0);
	}
	for (int i = 0; i < READS; i++) {
		struct vma_list list;
		struct error err = { 0 };

		if (maps_read(getpid(), i % 8 == 0, &list, &err))
			fail_msg("read %d: %s", i, err.what);
		check_list(&list, stable);
		maps_free(&list);
	}
	stop = true;
	for (size_t i = 0; i < MAPPERS; i++) {
		pthread_join(mappers[i].thread, NULL);
		munmap(mappers[i].arena, ARENA_PAGES * 4096);
	}
	munmap(stable, 2 * STABLE * 4096);
}

/* A mapping that merges with earlier ones between two reads comes once more, larger. */
static void overlapping_text(void **state)
{
	static const char text[] =
		"1000-3000 rw-p 00000000 00:00 0 a\n"
		"VmFlags: rd wr lo\n"
		"1000-5000 rw-p 00000000 00:00 0 b\n"
		"VmFlags: rd wr gd\n"
		"2000-4000 rw-p 00000000 00:00 0 c\n"
		"VmFlags: rd wr ht\n"
		"5000-6000 r--p 00000000 00:00 0 d\n";
	struct vma_list list;
	struct error err = { 0 };

	assert_int_equal(parse(text, &list, &err), 0);
	assert_int_equal(list.nr, 3);
	assert_int_equal(list.vmas[0].end, 0x3000);
	assert_true(list.vmas[0].locked && !list.vmas[0].hugetlb);
	assert_int_equal(list.vmas[1].start, 0x3000);
	assert_int_equal(list.vmas[1].end, 0x5000);
	assert_string_equal(list.vmas[1].name, "b");
	assert_true(list.vmas[1].growsdown && !list.vmas[1].hugetlb);
	assert_int_equal(list.vmas[2].start, 0x5000);
	maps_free(&list);
}

static void our_own(void **state)
{
	size_t bytes = 3 * 4096;
	char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct vma *vma;
	struct vma_list list;
	struct error err = { 0 };

	for (int flags = 0; flags < 2; flags++) {
		assert_int_equal(maps_read(getpid(), flags, &list, &err), 0);
		vma = maps_find(&list, (uintptr_t)map + 4096);
		assert_non_null(vma);
		assert_true(vma->shared);
		vma = maps_find(&list, (uintptr_t)&list);
		assert_non_null(vma);
		assert_string_equal(vma->name, "[stack]");
		maps_free(&list);
	}
	munmap(map, bytes);
	assert_int_equal(maps_read(0x7ffffff0, false, &list, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_text),
		cmocka_unit_test(smaps_flags),
		cmocka_unit_test(odd_text),
		cmocka_unit_test(overlapping_text),
		cmocka_unit_test(mappers_at_work),
		cmocka_unit_test(our_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
