// SPDX-License-Identifier: GPL-2.0
/* Digests of many processes, in any order: each process is compared with its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "dest/verify.h"

#define BASE	0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)

/* A message of one page of @object. */
static int say(struct verify *verify, uint32_t object, uint64_t page, bool last)
{
	Migrate__DigestRun run = MIGRATE__DIGEST_RUN__INIT, *list = &run;
	Migrate__Digests digests = MIGRATE__DIGESTS__INIT;
	struct error err = { 0 };

	run.addr = AT(page);
	run.nr_pages = 1;
	run.xxh3 = 100 * object + page;
	digests.runs = &list;
	digests.n_runs = 1;
	digests.object = object;
	digests.last = last;
	return verify_add(verify, &digests, &err);
}

static void expect(const struct verify *verify, uint32_t object, const uint64_t *pages, size_t nr)
{
	size_t found;
	const struct verify_piece *piece = verify_of(verify, object, &found);

	assert_int_equal(found, nr);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(piece[i].object, object);
		assert_int_equal(piece[i].addr, AT(pages[i]));
		assert_int_equal(piece[i].xxh3, 100 * object + pages[i]);
	}
}

static void each_has_its_own(void **state)
{
	struct verify verify = { 0 };

	assert_int_equal(say(&verify, 7, 5, false), 0);
	assert_int_equal(say(&verify, 3, 4, false), 0);
	assert_int_equal(say(&verify, 9, 1, false), 0);
	assert_int_equal(say(&verify, 7, 2, false), 0);
	assert_int_equal(say(&verify, 3, 0, false), 0);
	assert_int_equal(say(&verify, 7, 3, true), 0);
	expect(&verify, 3, (uint64_t[]){ 0, 4 }, 2);
	expect(&verify, 7, (uint64_t[]){ 2, 3, 5 }, 3);
	expect(&verify, 9, (uint64_t[]){ 1 }, 1);
	expect(&verify, 1, NULL, 0);
	expect(&verify, 5, NULL, 0);
	expect(&verify, 10, NULL, 0);
	/* nothing comes behind the last one */
	assert_int_equal(say(&verify, 7, 9, false), -1);
	verify_free(&verify);
}

static void nothing_came(void **state)
{
	Migrate__Digests digests = MIGRATE__DIGESTS__INIT;
	struct verify verify = { 0 };
	struct error err = { 0 };

	digests.last = true;
	assert_int_equal(verify_add(&verify, &digests, &err), 0);
	expect(&verify, 7, NULL, 0);
	verify_free(&verify);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_own), cmocka_unit_test(nothing_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
