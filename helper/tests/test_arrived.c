// SPDX-License-Identifier: GPL-2.0
/* The file that says what has come, from its writer to its readers. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/page.h"
#include "dest/arrived.h"
#include "tests/mm_hooks.h"

#define MM	1
#define SHM	2
#define PID	181

static struct bench {
	char base[32];
	struct owned_dir dir;
	struct objects objects;
	struct arrived arrived;
	json_t *seen;
	int nr_seen;
} b;

static int set_up(void **state)
{
	struct error err = { 0 };

	memset(&b, 0, sizeof(b));
	b.arrived.fd = -1;
	strcpy(b.base, "/tmp/arrived-XXXXXX");
	objects_init(&b.objects, &no_mm_hooks, NULL, NULL);
	return mkdtemp(b.base) && !owned_dir_make(&b.dir, b.base, "0123-dest", &err) &&
	       objects_add_mm(&b.objects, MM, PID, &err) &&
	       objects_add_shm(&b.objects, SHM, "shared", 0, &err) ? 0 : -1;
}

static int tear_down(void **state)
{
	json_decref(b.seen);
	arrived_close(&b.arrived);
	objects_destroy(&b.objects);
	owned_dir_remove(&b.dir);
	owned_dir_close(&b.dir);
	rmdir(b.base);
	return 0;
}

static int see(void *ctx, const char *dir, const json_t *arrived)
{
	b.nr_seen++;
	assert_string_equal(dir, b.dir.path);
	json_decref(b.seen);
	b.seen = json_deep_copy(arrived);
	return 0;
}

static int look(void)
{
	b.nr_seen = 0;
	assert_int_equal(arrived_each(b.base, see, NULL), 0);
	return b.nr_seen;
}

static json_int_t field(size_t object, const char *name)
{
	return json_integer_value(json_object_get(json_array_get(json_object_get(b.seen, "objects"), object), name));
}

static void each_round_is_told_as_it_is(void **state)
{
	struct mirror *mirror = &objects_mm(&b.objects, MM)->mirror;
	struct error err = { 0 };

	assert_int_equal(look(), 0);
	arrived_write(&b.arrived, &b.dir, 1, &b.objects);
	assert_int_equal(look(), 1);
	assert_int_equal(json_integer_value(json_object_get(b.seen, "round")), 1);
	assert_int_equal(json_array_size(json_object_get(b.seen, "objects")), 2);
	assert_int_equal(field(0, "pid"), PID);
	assert_int_equal(field(0, "pages"), 0);
	assert_null(json_object_get(json_array_get(json_object_get(b.seen, "objects"), 1), "pid"));

	assert_int_equal(page_set_add(&mirror->have, 16 * PAGE_BYTES, 3, &err), 0);
	assert_int_equal(objects_end(&b.objects, SHM, &err), 0);
	assert_non_null(objects_add_mm(&b.objects, 3, PID + 1, &err));
	arrived_write(&b.arrived, &b.dir, 2, &b.objects);
	assert_int_equal(look(), 1);
	assert_int_equal(json_integer_value(json_object_get(b.seen, "round")), 2);
	assert_int_equal(json_array_size(json_object_get(b.seen, "objects")), 2);
	assert_int_equal(field(0, "pages"), 3);
	assert_int_equal(field(1, "pid"), PID + 1);
}

/* A killed helper whose keeper was killed too leaves its directory. */
static void what_a_dead_process_wrote_does_not_count(void **state)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		arrived_write(&b.arrived, &b.dir, 5, &b.objects);
		_exit(look() != 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(look(), 0);
	arrived_write(&b.arrived, &b.dir, 6, &b.objects);
	assert_int_equal(look(), 1);
	arrived_close(&b.arrived);
	assert_int_equal(look(), 0);
}

static void a_directory_of_a_source_is_none(void **state)
{
	struct owned_dir other = { 0 };
	struct error err = { 0 };

	assert_int_equal(owned_dir_make(&other, b.base, "0123-source", &err), 0);
	arrived_write(&b.arrived, &other, 1, &b.objects);
	assert_int_equal(look(), 0);
	owned_dir_remove(&other);
	owned_dir_close(&other);
}

static void where_nothing_can_be_written_the_migration_goes_on(void **state)
{
	owned_dir_remove(&b.dir);
	arrived_write(&b.arrived, &b.dir, 1, &b.objects);
	assert_int_equal(b.arrived.fd, -1);
	assert_int_equal(look(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_round_is_told_as_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_dead_process_wrote_does_not_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_directory_of_a_source_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(where_nothing_can_be_written_the_migration_goes_on, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("arrived", tests, NULL, NULL);
}
