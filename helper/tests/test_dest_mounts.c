// SPDX-License-Identifier: GPL-2.0
/* The mounts that a source names for the namespace of a program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "dest/mounts.h"

static size_t take(Migrate__Setup *setup, struct mounts *mounts)
{
	struct refusals refusals = { .nr = 0 };
	size_t nr;

	mounts_take(mounts, setup, &refusals);
	nr = refusals.nr;
	precheck_free(&refusals);
	return nr;
}

static void a_source_names_mounts_by_absolute_paths(void **state)
{
	Migrate__Mount one = MIGRATE__MOUNT__INIT, *list[1025];
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct mounts mounts;

	for (size_t i = 0; i < 1025; i++)
		list[i] = &one;
	one.name = "mh1";
	one.path = "/usr";
	setup.mounts = list;
	assert_int_equal(take(&setup, &mounts), 0);
	assert_int_equal(*mounts.root, 0);
	setup.root = "/srv/root";
	setup.n_mounts = 1;
	assert_int_equal(take(&setup, &mounts), 0);
	assert_int_equal(mounts.nr, 2);
	assert_string_equal(mounts.externals[1], "mnt[mh1]:/usr");
	mounts_free(&mounts);
	one.path = "usr";
	assert_int_equal(take(&setup, &mounts), 1);
	one.path = "/usr";
	one.name = "a]b";
	assert_int_equal(take(&setup, &mounts), 1);
	one.name = "mh1";
	setup.n_mounts = 1025;
	assert_int_equal(take(&setup, &mounts), 1);
	setup.n_mounts = 1;
	setup.root = NULL;
	assert_int_equal(take(&setup, &mounts), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_names_mounts_by_absolute_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
