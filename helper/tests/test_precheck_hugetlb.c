// SPDX-License-Identifier: GPL-2.0
/* Are there as many huge pages here as the program needs? Pools are files of a directory. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/precheck.h"
#include "dest/precheck_hugetlb.h"

#define MIB	(1UL << 20)

static const char *const names[] = {
	"free_hugepages", "resv_hugepages", "nr_overcommit_hugepages", "surplus_hugepages",
};

static char top[] = "/tmp/pools-XXXXXX", pool[64];
static Migrate__Vma vma[3], *vmas[3] = { &vma[0], &vma[1], &vma[2] };
static Migrate__Setup setup;

static int set_up(void **state)
{
	if (!mkdtemp(top))
		return -1;
	snprintf(pool, sizeof(pool), "%s/hugepages-2048kB", top);
	precheck_hugetlb_dir = top;
	migrate__setup__init(&setup);
	setup.vmas = vmas;
	setup.n_vmas = 3;
	for (size_t i = 0; i < 3; i++) {
		migrate__vma__init(vmas[i]);
		vma[i].start = (i + 1) << 30;
	}
	/* one page, two pages, and a mapping of small pages */
	vma[0].end = vma[0].start + 2 * MIB;
	vma[1].end = vma[1].start + 4 * MIB;
	vma[2].end = vma[2].start + 100 * MIB;
	vma[0].has_huge_kib = vma[1].has_huge_kib = true;
	vma[0].huge_kib = vma[1].huge_kib = 2048;
	return 0;
}

static int tear_down(void **state)
{
	char path[128];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", pool, names[i]);
		unlink(path);
	}
	rmdir(pool);
	return rmdir(top);
}

static void pool_is(unsigned int free, unsigned int promised, unsigned int more,
		    unsigned int surplus)
{
	const unsigned int numbers[] = { free, promised, more, surplus };
	char path[128];
	FILE *file;

	mkdir(pool, 0700);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", pool, names[i]);
		file = fopen(path, "w");
		assert_non_null(file);
		fprintf(file, "%u\n", numbers[i]);
		fclose(file);
	}
}

/* Return: how many reasons; *@text: the first of them */
static size_t refused(char text[256])
{
	struct refusals list = { 0 };
	size_t nr;

	precheck_hugetlb(&setup, &list);
	nr = list.nr;
	snprintf(text, 256, "%s", nr ? list.text[0] : "");
	precheck_free(&list);
	return nr;
}

static void pools(void **state)
{
	char text[256];

	assert_int_equal(precheck_hugetlb_bytes(&setup), 6 * MIB);
	/* a machine that has none of that size */
	assert_int_equal(refused(text), 1);
	assert_non_null(strstr(text, "needs 3 huge pages of 2048 KiB, and here are 0 free"));
	pool_is(3, 0, 0, 0);
	assert_int_equal(refused(text), 0);
	pool_is(3, 1, 0, 0);
	assert_int_equal(refused(text), 1);
	assert_non_null(strstr(text, "here are 2 free"));
	/* the kernel may add pages to the pool */
	pool_is(1, 1, 5, 2);
	assert_int_equal(refused(text), 0);
	pool_is(1, 2, 5, 2);
	assert_int_equal(refused(text), 1);
	pool_is(0, 7, 0, 9);
	assert_int_equal(refused(text), 1);
	assert_non_null(strstr(text, "here are 0 free"));
}

static void sizes(void **state)
{
	char text[256];

	pool_is(3, 0, 0, 0);
	vma[1].huge_kib = 1;
	vma[2].has_huge_kib = true;
	vma[2].huge_kib = 3;
	/* not one answer for each size that there might be */
	assert_int_equal(refused(text), 1);
	vma[0].huge_kib = 0;
	vma[1].end = vma[1].start;
	assert_int_equal(refused(text), 1);
	assert_non_null(strstr(text, "of 3 KiB"));
	assert_int_equal(precheck_hugetlb_bytes(&setup), 100 * MIB);
}

/* Of all processes, whichever has mappings in the list. */
static void pages_of_other_processes_count(void **state)
{
	Migrate__HugePages huge = MIGRATE__HUGE_PAGES__INIT, *list[] = { &huge };
	char text[256];

	huge.kib = 2048;
	huge.bytes = 4 * MIB;
	setup.huge_pages = list;
	setup.n_huge_pages = 1;
	pool_is(5, 0, 0, 0);
	assert_int_equal(refused(text), 0);
	pool_is(4, 0, 0, 0);
	assert_int_equal(refused(text), 1);
	assert_non_null(strstr(text, "needs 5 huge pages of 2048 KiB, and here are 4 free"));
	assert_int_equal(precheck_hugetlb_bytes(&setup), 10 * MIB);
	setup.n_vmas = 0;
	pool_is(1, 0, 0, 0);
	assert_int_equal(refused(text), 1);
	assert_non_null(strstr(text, "needs 2 huge pages of 2048 KiB, and here are 1 free"));
	huge.kib = 0;
	assert_int_equal(refused(text), 0);
	setup.n_huge_pages = 0;
	setup.n_vmas = 3;
}

/* They are in CRIU's images as huge pages are. */
static void deleted_files_count(void **state)
{
	uint64_t huge = precheck_hugetlb_bytes(&setup);

	assert_int_equal(precheck_image_bytes(&setup), huge);
	setup.has_ghost_bytes = true;
	setup.ghost_bytes = 7 * MIB;
	assert_int_equal(precheck_image_bytes(&setup), huge + 7 * MIB);
	setup.ghost_bytes = UINT64_MAX;
	assert_true(precheck_image_bytes(&setup) >= USER_END);
	setup.has_ghost_bytes = false;
	setup.ghost_bytes = 0;
	setup.tmpfs_bytes = 3 * MIB;
	assert_int_equal(precheck_image_bytes(&setup), huge + 3 * MIB);
	setup.tmpfs_bytes = UINT64_MAX;
	assert_true(precheck_image_bytes(&setup) >= USER_END);
	setup.tmpfs_bytes = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pools),
		cmocka_unit_test(pages_of_other_processes_count),
		cmocka_unit_test(sizes), cmocka_unit_test(deleted_files_count),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
