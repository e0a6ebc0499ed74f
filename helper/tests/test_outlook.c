// SPDX-License-Identifier: GPL-2.0
/* What of a program counts when its time frozen is predicted. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/page.h"
#include "source/outlook.h"

#define PAGES(nr)	((nr) * PAGE_BYTES)

/* Of a file, with 3 pages that the program has written; its own, with 5; shared, with 7; reserved. */
static struct vma vmas[] = {
	{ .start = PAGES(16), .end = PAGES(32), .own_bytes = PAGES(3) },
	{ .start = PAGES(32), .end = PAGES(48), .own_bytes = PAGES(5), .anon = true },
	{ .start = PAGES(48), .end = PAGES(64), .own_bytes = PAGES(7), .shared = true },
	{ .start = PAGES(64), .end = PAGES(1064), .anon = true },
};

static void look(struct outlook *outlook, bool drains)
{
	static const struct criu_version criu = { .major = 4, .minor = 1 };
	const struct vma_list list = { .vmas = vmas, .nr = 4 };
	const struct proc_status status = { .comm = "test-outlook", .threads = 6 };
	struct error err = { 0 };

	cost_dir = "/nonexistent";
	*outlook = (struct outlook){ 0 };
	assert_int_equal(outlook_make(outlook, &status, getpid(), &list, &criu, drains, &err), 0);
}

static void own_pages_of_files_go_by_images(void **state)
{
	struct outlook outlook;

	look(&outlook, false);
	assert_int_equal(outlook.shape.mappings, 4);
	assert_int_equal(outlook.shape.threads, 6);
	assert_true(outlook.shape.descriptors >= 3);
	assert_int_equal(outlook.shape.private_pages, 1032);
	assert_int_equal(outlook.shape.image_pages, 3);
	assert_int_equal(outlook.shape.drained_pages, 0);
}

/* Clean pages of files, which are resident too, stay where they are. */
static void own_pages_alone_are_drained(void **state)
{
	struct outlook outlook;

	look(&outlook, true);
	assert_int_equal(outlook.shape.drained_pages, 8);
	assert_int_equal(outlook.shape.image_pages, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_pages_of_files_go_by_images),
		cmocka_unit_test(own_pages_alone_are_drained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
