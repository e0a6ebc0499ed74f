// SPDX-License-Identifier: GPL-2.0
/* Compressed frames into the objects of a migration, and where they are refused. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/receiver_bench.h"

/* Each page is made of one byte: the number of its place in the frame, and @fill. */
static void packed(struct bench *bench, const struct splice_vm_run *runs, uint32_t nr, uint8_t fill)
{
	struct packer packer = { .codec = CODEC_ZSTD };
	uint8_t data[8 * P];
	struct error err = { 0 };

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = fill + i / P;
	assert_int_equal(packer_init(&packer, &err), 0);
	assert_int_equal(packer_send(&packer, CONN(bench->source), FRAME_COOKIE(bench->round, bench->object), runs, nr,
				     data, &err), 0);
	assert_true(packer.saved > 0);
	packer_destroy(&packer);
}

static void packed_run(struct bench *bench, uint64_t page, uint32_t nr, uint8_t fill)
{
	const struct splice_vm_run run = { .addr = AT(page), .nr_pages = nr };

	packed(bench, &run, 1, fill);
}

static int set_up_packed(void **state)
{
	int ret = set_up(state);
	struct bench *bench = *state;

	bench->receiver.unpacker.codecs = CODEC_ALL;
	return ret;
}

static void one_run_goes_to_its_place(void **state)
{
	struct bench *bench = *state;

	packed_run(bench, 10, 4, 1);
	packed_run(bench, 12, 1, 77);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->mm->mirror.have.nr, 4);
	assert_int_equal(stored(bench, 10), 1);
	assert_int_equal(stored(bench, 11), 2);
	assert_int_equal(stored(bench, 12), 77);
	assert_int_equal(stored(bench, 13), 4);
	assert_int_equal(bench->receiver.precopy_pages, 5);
}

static void several_runs_go_to_their_places(void **state)
{
	const struct splice_vm_run runs[] = {
		{ .addr = AT(3), .nr_pages = 1 }, { .addr = AT(50), .nr_pages = 3 }, { .addr = AT(299), .nr_pages = 1 },
	};
	struct bench *bench = *state;

	packed(bench, runs, 3, 10);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->mm->mirror.have.nr, 5);
	assert_int_equal(stored(bench, 3), 10);
	assert_int_equal(stored(bench, 52), 13);
	assert_int_equal(stored(bench, 299), 14);
}

static void late_pages_come_too(void **state)
{
	struct bench *bench = *state;

	bench->seals = true;
	list(bench, FRAME_POPULATED, 0, 8);
	list(bench, FRAME_FINAL, 0, 0);
	packed_run(bench, 2, 2, 9);
	assert_int_equal(run(bench), 0);
	assert_int_equal(stored(bench, 2), 9);
	assert_int_equal(stored(bench, 3), 10);
	assert_int_equal(bench->mm->wanted.pages.nr, 6);
}

/* Its pages are taken off the connection: the frame behind it counts. */
static void an_object_that_is_gone(void **state)
{
	struct bench *bench = *state;
	struct mm *other = objects_add_mm(&bench->objects, MM + 1, PID + 1, &bench->err);

	assert_non_null(other);
	assert_int_equal(objects_end(&bench->objects, MM + 1, &bench->err), 0);
	bench->object = MM + 1;
	packed_run(bench, 10, 4, 1);
	bench->object = MM;
	list(bench, FRAME_ROUND, 0, 0);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->acked, 1);
	assert_int_equal(other->mirror.have.nr, 0);
}

static void outside_of_what_was_announced(void **state)
{
	const struct splice_vm_run runs[] = {
		{ .addr = AT(3), .nr_pages = 1 }, { .addr = AT(150), .nr_pages = 1 },
	};
	struct bench *bench = *state;

	packed(bench, runs, 2, 1);
	refused(bench);
	assert_int_equal(bench->mm->mirror.have.nr, 0);
}

static void one_run_outside(void **state)
{
	struct bench *bench = *state;

	packed_run(bench, 98, 4, 1);
	refused(bench);
}

static void not_agreed_on(void **state)
{
	struct bench *bench = *state;

	bench->receiver.unpacker.codecs = 0;
	packed_run(bench, 10, 4, 1);
	refused(bench);
	assert_non_null(strstr(bench->err.what, "agreed"));
}

#define PACKED_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_packed, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PACKED_TEST(one_run_goes_to_its_place), PACKED_TEST(several_runs_go_to_their_places),
		PACKED_TEST(late_pages_come_too), PACKED_TEST(an_object_that_is_gone),
		PACKED_TEST(outside_of_what_was_announced), PACKED_TEST(one_run_outside), PACKED_TEST(not_agreed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
