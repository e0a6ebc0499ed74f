// SPDX-License-Identifier: GPL-2.0
/* COPY: the pages of a child that travelled as those of its parent. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "dest/inherit.h"
#include "dest/objects.h"
#include "tests/mm_hooks.h"
#include "wire/stream.h"

#define BASE	0x7f0000000000UL
#define P	PAGE_BYTES
#define AT(page)	(BASE + (page) * P)
#define PAGES	2000UL

/** struct bench - @child: may have pages 0 to PAGES - 100 */
struct bench {
	struct objects objects;
	struct place place;
	struct mm *parent, *child;
	uint8_t *buf;
	struct error err;
};

static int set_up(void **state)
{
	const struct mirror_range all = { AT(0), AT(PAGES) }, most = { AT(0), AT(PAGES - 100) };
	struct bench *bench = calloc(1, sizeof(*bench));
	int ret = 0;

	*state = bench;
	bench->buf = malloc(FRAME_MAX_PAGES * P);
	objects_init(&bench->objects, &no_mm_hooks, NULL, &bench->place);
	bench->parent = objects_add_mm(&bench->objects, 1, 100, &bench->err);
	bench->child = objects_add_mm(&bench->objects, 2, 101, &bench->err);
	if (mm_announce(bench->parent, &all, 1, &bench->err) ||
	    mm_announce(bench->child, &most, 1, &bench->err))
		return -1;
	bench->child->parent = bench->parent;
	for (uint64_t at = 0; at < PAGES && !ret; at++) {
		memset(bench->buf, at % 251, P);
		ret = mirror_write(&bench->parent->mirror, AT(at), 1, bench->buf, &bench->err);
	}
	return ret;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	objects_destroy(&bench->objects);
	free(bench->buf);
	free(bench);
	return 0;
}

static int copy(struct bench *bench, uint64_t page, uint32_t nr)
{
	const struct splice_vm_run run = { .addr = AT(page), .nr_pages = nr };

	return inherit_copy(bench->child, &run, 1, bench->buf, &bench->err);
}

static void refused(struct bench *bench, uint64_t page, uint32_t nr, const char *why)
{
	assert_int_equal(copy(bench, page, nr), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_non_null(strstr(bench->err.what, why));
}

/* More than one piece of FRAME_MAX_PAGES. */
static void each_page_is_its_parents(void **state)
{
	struct bench *bench = *state;
	uint8_t data[P];

	assert_int_equal(copy(bench, 10, 1300), 0);
	assert_int_equal(bench->child->mirror.have.nr, 1300);
	for (uint64_t at = 10; at < 1310; at++) {
		assert_int_equal(mirror_read(&bench->child->mirror, AT(at), 1, data, &bench->err), 0);
		assert_int_equal(data[0], at % 251);
		assert_int_equal(data[P - 1], at % 251);
	}
}

static void a_copy_does_not_follow_its_parent(void **state)
{
	struct bench *bench = *state;
	uint8_t data[P] = { 252 };

	assert_int_equal(copy(bench, 0, 8), 0);
	assert_int_equal(mirror_write(&bench->parent->mirror, AT(5), 1, data, &bench->err), 0);
	assert_int_equal(mirror_read(&bench->child->mirror, AT(5), 1, data, &bench->err), 0);
	assert_int_equal(data[0], 5);
}

static void what_is_not_there_is_refused(void **state)
{
	struct bench *bench = *state;

	mirror_punch(&bench->parent->mirror, AT(700), 1);
	refused(bench, 0, 1000, "the parent lacks it");
}

static void outside_of_the_mappings_is_refused(void **state)
{
	refused(*state, PAGES - 102, 4, "outside of the announced mappings");
}

/* 16 bytes of the source would cost a copy of any size here. */
static void twice_in_a_round_is_refused(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(copy(bench, 0, 1000), 0);
	mm_end_round(bench->child);
	assert_int_equal(copy(bench, 0, 1000), 0);
	refused(bench, 999, 1, "twice in a round");
}

/* A round of copies alone may take minutes: no other migration gets the place meanwhile. */
static void a_copy_is_progress(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(copy(bench, 0, PLACE_STEP / P - 1), 0);
	assert_int_equal(atomic_load(&bench->place.progress_ms), 0);
	assert_int_equal(copy(bench, PLACE_STEP / P - 1, 1), 0);
	assert_true(atomic_exchange(&bench->place.progress_ms, 0) > 0);
	refused(bench, PAGES - 1, 1, "outside of the announced mappings");
	assert_int_equal(atomic_load(&bench->place.came), PLACE_STEP);
}

static void an_orphan_is_refused(void **state)
{
	struct bench *bench = *state;

	bench->child->parent = NULL;
	refused(bench, 0, 1, "it has no parent");
}

static void a_parent_that_is_gone_is_refused(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(mm_end(bench->parent, &bench->err), 0);
	refused(bench, 0, 1, "the parent is gone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_page_is_its_parents, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_copy_does_not_follow_its_parent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_there_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(outside_of_the_mappings_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(twice_in_a_round_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_copy_is_progress, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_orphan_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_parent_that_is_gone_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
