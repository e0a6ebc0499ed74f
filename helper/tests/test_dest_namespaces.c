// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include "criu/namespaces.h"
#include "dest/namespaces.h"
#include "dest/precheck.h"
#include "tests/criu_images.h"

#define USER_ID		10

static struct test_dir dir;
static struct process process;
static struct process *processes[] = { &process };
static struct program program;

static int make(void **state)
{
	dir_make(&dir);
	process.pid = TEST_PID;
	program = (struct program){ .root = TEST_PID, .processes = processes, .nr = 1 };
	return 0;
}

static int drop(void **state)
{
	dir_remove(&dir);
	return 0;
}

/* Ids 0 to 999 are those from @outside on. */
static size_t take(struct namespaces *namespaces, Migrate__NamespaceKind *kinds, size_t nr, uint32_t outside)
{
	Migrate__IdRange range = MIGRATE__ID_RANGE__INIT, *list[] = { &range };
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct refusals refusals = { 0 };
	size_t refused;

	range.outside = outside;
	range.count = 1000;
	setup.own_namespaces = kinds;
	setup.n_own_namespaces = nr;
	setup.uid_map = setup.gid_map = list;
	setup.n_uid_map = setup.n_gid_map = 1;
	namespaces_take(namespaces, &setup, &refusals);
	refused = refusals.nr;
	precheck_free(&refusals);
	return refused;
}

static void write_maps(uint32_t outside)
{
	Img__UidGidExtent extent = IMG__UID_GID_EXTENT__INIT, *list[] = { &extent };
	Img__UsernsEntry entry = IMG__USERNS_ENTRY__INIT;

	extent.lower_first = outside;
	extent.count = 1000;
	entry.uid_map = entry.gid_map = list;
	entry.n_uid_map = entry.n_gid_map = 1;
	one_record(dir.fd, "userns-10.img", IMAGE_USERNS, &entry.base);
}

static int compare(const struct namespaces *namespaces, const char *why)
{
	struct error err = { 0 };
	int ret = namespaces_compare(namespaces, &program, dir.fd, &err);

	if (ret && !strstr(err.what, why))
		fail_msg("%s", err.what);
	return ret;
}

static void images_have_what_setup_says(void **state)
{
	Migrate__NamespaceKind net = MIGRATE__NAMESPACE_KIND__NS_NETWORK;
	struct namespaces none, own;

	assert_int_equal(take(&none, NULL, 0, 0), 0);
	assert_int_equal(take(&own, &net, 1, 0), 0);
	ids_write(dir.fd, "inventory.img", 1, 2);
	ids_write(dir.fd, "ids-77.img", 1, 2);
	assert_int_equal(compare(&none, ""), 0);
	assert_int_equal(compare(&own, "Setup says that the program's network namespace is its own"), -1);
	ids_write(dir.fd, "ids-77.img", 3, 2);
	assert_int_equal(compare(&own, ""), 0);
	assert_int_equal(compare(&none, "an image says that the program's network namespace is its own"), -1);
}

static void a_child_in_another_namespace_is_refused(void **state)
{
	struct process child = { .pid = TEST_PID + 1 }, *two[] = { &process, &child };
	Migrate__NamespaceKind net = MIGRATE__NAMESPACE_KIND__NS_NETWORK;
	struct namespaces own;

	program.processes = two;
	program.nr = 2;
	assert_int_equal(take(&own, &net, 1, 0), 0);
	ids_write(dir.fd, "inventory.img", 1, 2);
	ids_write(dir.fd, "ids-77.img", 3, 2);
	ids_write(dir.fd, "ids-78.img", 4, 2);
	assert_int_equal(compare(&own, "process 78 in another namespace"), -1);
	ids_write(dir.fd, "ids-78.img", 3, 2);
	assert_int_equal(compare(&own, ""), 0);
}

static void maps_of_ids_are_those_of_setup(void **state)
{
	Migrate__NamespaceKind user = MIGRATE__NAMESPACE_KIND__NS_USER;
	struct namespaces own;

	/* whether this machine allows a userfaultfd is not asked here */
	take(&own, &user, 1, 100000);
	assert_int_equal(own.root_gid, 100000);
	ids_write(dir.fd, "inventory.img", 1, 2);
	ids_write(dir.fd, "ids-77.img", 1, USER_ID);
	assert_int_equal(compare(&own, "userns-10.img"), -1);
	write_maps(100000);
	assert_int_equal(compare(&own, ""), 0);
	write_maps(0);
	assert_int_equal(compare(&own, "other ids"), -1);
}

static void what_is_wrong_is_refused(void **state)
{
	Migrate__NamespaceKind user = MIGRATE__NAMESPACE_KIND__NS_USER, unknown = 40;
	struct namespaces own;
	size_t right = take(&own, &user, 1, 100000);

	assert_int_equal(take(&own, &unknown, 1, 0), 1);
	assert_int_equal(take(&own, &user, 1, UINT32_MAX), right + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(images_have_what_setup_says, make, drop),
		cmocka_unit_test_setup_teardown(a_child_in_another_namespace_is_refused, make, drop),
		cmocka_unit_test_setup_teardown(maps_of_ids_are_those_of_setup, make, drop),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_refused, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
