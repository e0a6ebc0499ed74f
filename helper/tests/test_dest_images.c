// SPDX-License-Identifier: GPL-2.0
/* The files of CRIU's images that a source may send. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "dest/images.h"
#include "tests/test_dir.h"

#define PROCESSES	1000	/* a tree, with six images of each process */

struct bench {
	struct test_dir dir;
	struct images images;
	struct budget budget;
	struct error err;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	*state = bench;
	dir_make(&bench->dir);
	budget_init(&bench->budget, NULL, NULL);
	bench->images = (struct images){
		.images_fd = bench->dir.fd, .work_fd = -1, .file = -1, .budget = &bench->budget,
	};
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	if (bench->images.file >= 0)
		close(bench->images.file);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

static int take(struct bench *bench, const char *name, uint64_t offset, const char *text, bool last)
{
	Migrate__ImageFile piece = MIGRATE__IMAGE_FILE__INIT;

	piece.name = (char *)name;
	piece.offset = offset;
	piece.data.data = (uint8_t *)text;
	piece.data.len = strlen(text);
	piece.last = last;
	return images_take(&bench->images, &piece, &bench->err);
}

static void refused(struct bench *bench, const char *name, uint64_t offset, const char *why)
{
	assert_int_equal(take(bench, name, offset, "", true), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_non_null(strstr(bench->err.what, why));
}

static void pieces_make_a_file(void **state)
{
	struct bench *bench = *state;
	char text[16] = "";

	assert_int_equal(budget_announce(&bench->budget, BUDGET_IMAGES, 1000, &bench->err), 0);
	assert_int_equal(take(bench, "core-1.img", 0, "one ", false), 0);
	assert_int_equal(take(bench, "core-1.img", 4, "two", true), 0);
	assert_int_equal(file_read(bench->dir.fd, "core-1.img", text, sizeof(text)), 7);
	assert_string_equal(text, "one two");
	assert_int_equal(images_check_complete(&bench->images, 1, &bench->err), 0);
	assert_int_equal(images_check_complete(&bench->images, 2, &bench->err), -1);
}

static void names_stay_in_the_directory(void **state)
{
	static const char *const names[] = { "", ".", "..", ".hidden", "a/b", "../x", "parent", "a b" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		refused(*state, names[i], 0, "bad name");
}

static void a_hole_is_refused(void **state)
{
	refused(*state, "pages-1.img", 4096, "out of order");
}

/* A tree has some images of each process, and one of each thread. */
static void a_large_tree_has_many(void **state)
{
	struct bench *bench = *state;
	char name[32];

	for (int i = 0; i < 6 * PROCESSES; i++) {
		snprintf(name, sizeof(name), "core-%d.img", i);
		assert_int_equal(take(bench, name, 0, "", true), 0);
	}
	assert_int_equal(images_check_complete(&bench->images, 6 * PROCESSES, &bench->err), 0);
}

/* An empty file takes memory of the kernel that no byte announces. */
static void empty_files_are_paid_for(void **state)
{
	struct bench *bench = *state;

	bench->budget.used[BUDGET_BOOKS] = (64UL << 20) - 1024;
	assert_int_equal(take(bench, "core-1.img", 0, "", true), 0);
	refused(bench, "core-2.img", 0, "more than it announced");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pieces_make_a_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_stay_in_the_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_hole_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_large_tree_has_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(empty_files_are_paid_for, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
