// SPDX-License-Identifier: GPL-2.0
/* ALSO: pages that come once, and are those of several processes. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "dest/also.h"
#include "dest/objects.h"
#include "tests/mm_hooks.h"
#include "wire/stream.h"

#define BASE	0x7f0000000000UL
#define P	PAGE_BYTES
#define AT(page)	(BASE + (page) * P)
#define PAGES	100UL

/** struct bench - three sealed objects, which want all pages; no space has a userfaultfd, so mirrors get them */
struct bench {
	struct objects objects;
	struct mm *mms[3];
	struct also also;
	uint8_t data[PAGES * P];
	struct error err;
};

static int make(struct bench *bench, int i)
{
	const struct mirror_range range = { AT(0), AT(PAGES) };
	const struct splice_vm_run all = { .addr = AT(0), .nr_pages = PAGES };
	struct mm *mm = objects_add_mm(&bench->objects, i + 1, 100 + i, &bench->err);
	struct page_set lazy;
	int ret;

	bench->mms[i] = mm;
	if (!mm || mm_announce(mm, &range, 1, &bench->err) || mm_populate(mm, &all, 1, &bench->err))
		return -1;
	page_set_init(&lazy);
	ret = page_set_add(&lazy, AT(0), PAGES, &bench->err) || mm_seal(mm, &lazy, &bench->err);
	page_set_destroy(&lazy);
	return ret ? -1 : 0;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	*state = bench;
	objects_init(&bench->objects, &no_mm_hooks, NULL, NULL);
	for (uint64_t i = 0; i < PAGES; i++)
		memset(bench->data + i * P, i + 1, P);
	return make(bench, 0) || make(bench, 1) || make(bench, 2);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	also_free(&bench->also);
	objects_destroy(&bench->objects);
	free(bench);
	return 0;
}

static void named(struct bench *bench, int giver, int mm, uint64_t page, uint32_t nr)
{
	const struct splice_vm_run runs[] = {
		{ .addr = AT(page), .nr_pages = nr }, { .addr = AT(90), .nr_pages = 2 },
	};

	assert_int_equal(also_add(&bench->also, bench->mms[giver], bench->mms[mm], runs, 2, &bench->err), 0);
}

static void came(struct bench *bench, int giver, uint64_t page, uint32_t nr, bool zeros)
{
	const struct splice_vm_run run = { .addr = AT(page), .nr_pages = nr };

	assert_int_equal(also_take(&bench->also, bench->mms[giver], &run,
				   zeros ? NULL : bench->data + page * P, false, &bench->err), 0);
}

/* Return: first byte of a page; -1: it has not come */
static int has(struct bench *bench, int mm, uint64_t page)
{
	struct mirror *mirror = &bench->mms[mm]->mirror;
	uint8_t data[P];

	if (!page_set_has(&mirror->have, AT(page)))
		return -1;
	assert_int_equal(mirror_read(mirror, AT(page), 1, data, &bench->err), 0);
	assert_int_equal(data[0], data[P - 1]);
	return data[0];
}

static void each_gets_its_part(void **state)
{
	struct bench *bench = *state;

	named(bench, 0, 1, 10, 10);
	named(bench, 0, 2, 15, 20);
	came(bench, 0, 12, 6, false);
	assert_int_equal(has(bench, 1, 11), -1);
	for (uint64_t page = 12; page < 18; page++) {
		assert_int_equal(has(bench, 1, page), page + 1);
		assert_int_equal(has(bench, 2, page), page < 15 ? -1 : (int)page + 1);
	}
	/* the rest, in another frame; the object that sends takes its pages itself */
	came(bench, 0, 18, 82, false);
	assert_int_equal(bench->mms[0]->mirror.have.nr, 0);
	assert_int_equal(bench->mms[1]->mirror.have.nr, 8 + 2);
	assert_int_equal(bench->mms[2]->mirror.have.nr, 20 + 2);
	assert_int_equal(has(bench, 2, 34), 35);
	assert_int_equal(has(bench, 2, 91), 92);
	assert_int_equal(bench->mms[2]->wanted.pages.nr, PAGES - 22);
}

static void zeros_are_for_all(void **state)
{
	struct bench *bench = *state;

	named(bench, 0, 1, 10, 10);
	came(bench, 0, 0, 15, true);
	assert_int_equal(has(bench, 1, 14), 0);
	assert_int_equal(has(bench, 1, 15), -1);
}

/* It has run since, and may have dropped or written the page. */
static void what_is_not_wanted_is_left_alone(void **state)
{
	struct bench *bench = *state;

	named(bench, 0, 1, 10, 10);
	wanted_remove(&bench->mms[1]->wanted, AT(12), 1);
	came(bench, 0, 10, 10, false);
	assert_int_equal(has(bench, 1, 12), -1);
	assert_int_equal(has(bench, 1, 13), 14);
}

static void pages_of_another_are_not_meant(void **state)
{
	struct bench *bench = *state;

	named(bench, 0, 1, 10, 10);
	came(bench, 2, 10, 10, false);
	assert_int_equal(bench->mms[1]->mirror.have.nr, 0);
	named(bench, 2, 1, 30, 5);
	came(bench, 0, 10, 10, false);
	assert_int_equal(bench->mms[1]->mirror.have.nr, 0);
	came(bench, 2, 10, 30, false);
	assert_int_equal(bench->mms[1]->mirror.have.nr, 5);
}

/* A list ends with the pages that it is about: it does not grow for ever. */
static void the_next_list_is_a_new_one(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < 100000; i++)
		named(bench, 0, 1, 10, 10);
	assert_true(bench->also.nr_sharers <= OBJECTS_MAX);
	came(bench, 0, 50, 1, false);
	named(bench, 0, 1, 30, 5);
	assert_int_equal(bench->also.nr_sharers, 1);
	came(bench, 0, 10, 10, false);
	assert_int_equal(bench->mms[1]->mirror.have.nr, 0);
	came(bench, 0, 30, 5, false);
	assert_int_equal(bench->mms[1]->mirror.have.nr, 5);
}

/* A frame of a few bytes would have the same work done again and again, for each process that was named. */
static void it_counts_once(void **state)
{
	struct bench *bench = *state;

	named(bench, 0, 1, 10, 10);
	came(bench, 0, 10, 5, true);
	/* it is wanted once more, as after a reconnect */
	assert_int_equal(page_set_add(&bench->mms[1]->wanted.pages, AT(12), 1, &bench->err), 0);
	mirror_punch(&bench->mms[1]->mirror, AT(12), 1);
	came(bench, 0, 10, 5, true);
	assert_int_equal(has(bench, 1, 12), -1);
	came(bench, 0, 10, 10, true);
	assert_int_equal(has(bench, 1, 12), -1);
	assert_int_equal(has(bench, 1, 19), 0);
}

/* Runs that meet nobody's are no work for ever either. */
static void a_list_is_looked_at_so_often(void **state)
{
	struct bench *bench = *state;

	named(bench, 0, 1, 10, 10);
	for (int i = 0; i < 1000; i++)
		named(bench, 0, 2, 10, 10);
	for (int i = 0; i < 20000; i++)
		came(bench, 0, 50, 1, true);
	assert_int_equal(bench->also.nr_sharers, 0);
	came(bench, 0, 10, 10, true);
	assert_int_equal(bench->mms[1]->mirror.have.nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_gets_its_part, set_up, tear_down),
		cmocka_unit_test_setup_teardown(zeros_are_for_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_wanted_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pages_of_another_are_not_meant, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_next_list_is_a_new_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_counts_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_list_is_looked_at_so_often, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
