// SPDX-License-Identifier: GPL-2.0
/* Frames of several objects on one connection; COPY and ALSO, which name two. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "pages/sets.h"
#include "tests/receiver_bench.h"

static void test_unknown_object(void **state)
{
	struct bench *bench = *state;

	bench->object = MM + 1;
	list(bench, FRAME_ROUND, 0, 0);
	refused(bench);
	assert_non_null(strstr(bench->err.what, "was not announced"));
}

/* Each object has its own end of a round, and of the lists: the last one counts for all. */
static void test_one_object_of_two(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	assert_non_null(objects_add_mm(&bench->objects, MM + 1, PID + 1, &err));
	list(bench, FRAME_ROUND, 0, 0);
	list(bench, FRAME_FINAL, 0, 0);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->acked, 0);
	assert_false(bench->final);
	assert_false(mm_is_final(bench->mm));
}

static void test_after_its_final(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	assert_non_null(objects_add_mm(&bench->objects, MM + 1, PID + 1, &err));
	list(bench, FRAME_FINAL, 0, 0);
	list(bench, FRAME_POPULATED, 0, 1);
	refused(bench);
}

/* Frames of an address space that has ended are taken off the connection, and the round goes on. */
static void test_object_that_is_gone(void **state)
{
	const struct mirror_range range = { AT(0), AT(100) };
	struct bench *bench = *state;
	struct error err = { 0 };
	struct mm *other = objects_add_mm(&bench->objects, MM + 1, PID + 1, &err);

	assert_int_equal(mm_announce(other, &range, 1, &err), 0);
	assert_int_equal(objects_end(&bench->objects, MM + 1, &err), 0);
	/* it called exec */
	assert_non_null(objects_add_mm(&bench->objects, MM + 2, PID + 1, &err));
	bench->object = MM + 1;
	pages(bench, 1, 4, 2);
	list(bench, FRAME_DROPPED, 1, 1);
	bench->object = MM + 2;
	list(bench, FRAME_ROUND, 0, 0);
	bench->object = MM;
	pages(bench, 0, 2, 1);
	list(bench, FRAME_ROUND, 0, 0);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->acked, 1);
	assert_int_equal(stored(bench, 1), 1);
	assert_int_equal(other->mirror.have.nr, 0);
}

/* Nothing is wanted of it: after FINAL no page of it can be asked for. */
static void test_gone_after_final(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	assert_non_null(objects_add_mm(&bench->objects, MM + 1, PID + 1, &err));
	assert_int_equal(objects_end(&bench->objects, MM + 1, &err), 0);
	list(bench, FRAME_FINAL, 0, 0);
	bench->object = MM + 1;
	list(bench, FRAME_ZERO, 1, 1);
	refused(bench);
	assert_true(bench->final);
}

/* A frame goes to the object that it names, and the end of a round is that of all objects. */
static void test_two_objects(void **state)
{
	const struct mirror_range range = { AT(0), AT(100) };
	struct bench *bench = *state;
	struct error err = { 0 };
	struct mm *other = objects_add_mm(&bench->objects, MM + 1, PID + 1, &err);

	assert_non_null(other);
	assert_int_equal(mm_announce(other, &range, 1, &err), 0);
	pages(bench, 0, 2, 1);
	bench->object = MM + 1;
	pages(bench, 1, 4, 2);
	list(bench, FRAME_ROUND, 0, 0);
	list(bench, FRAME_DROPPED, 1, 1);
	bench->object = MM;
	list(bench, FRAME_ROUND, 0, 0);
	bench->object = MM + 1;
	list(bench, FRAME_POPULATED, 0, 8);
	list(bench, FRAME_FINAL, 0, 0);
	bench->object = MM;
	list(bench, FRAME_POPULATED, 0, 8);
	list(bench, FRAME_FINAL, 0, 0);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->acked, 1);
	assert_true(mm_is_final(bench->mm));
	assert_true(mm_is_final(other));
	assert_true(bench->final);
	assert_int_equal(stored(bench, 1), 1);
	assert_int_equal(bench->mm->mirror.have.nr, 2);
	assert_int_equal(other->mirror.have.nr, 3);
	assert_false(page_set_has(&other->mirror.have, AT(1)));
}

/* COPY takes what the parent has at that point of the stream. */
static void test_copy(void **state)
{
	const struct mirror_range range = { AT(0), AT(100) };
	struct bench *bench = *state;
	struct mm *child = objects_add_mm(&bench->objects, MM + 1, PID + 1, &bench->err);
	uint8_t data[P];

	assert_int_equal(mm_announce(child, &range, 1, &bench->err), 0);
	child->parent = bench->mm;
	pages(bench, 0, 4, 1);
	bench->object = MM + 1;
	list(bench, FRAME_COPY, 1, 2);
	bench->object = MM;
	pages(bench, 0, 4, 2);
	assert_int_equal(run(bench), 0);
	assert_int_equal(child->mirror.have.nr, 2);
	assert_int_equal(mirror_read(&child->mirror, AT(2), 1, data, &bench->err), 0);
	assert_int_equal(data[0], 1);
}

/* Named with @giver where others have the round; the object is a second one, which wants all of its pages. */
static struct mm *name_other(struct bench *bench, uint32_t giver)
{
	const struct mirror_range range = { AT(0), AT(100) };
	struct mm *other = objects_add_mm(&bench->objects, MM + 1, PID + 1, &bench->err);

	assert_int_equal(mm_announce(other, &range, 1, &bench->err), 0);
	list(bench, FRAME_FINAL, 0, 0);
	bench->object = MM + 1;
	list(bench, FRAME_POPULATED, 0, 8);
	list(bench, FRAME_FINAL, 0, 0);
	bench->round = giver;
	list(bench, FRAME_ALSO, 2, 4);
	bench->round = 1;
	bench->object = MM;
	return other;
}

static int seal_other(void *ctx, uint64_t have, uint64_t lack, struct error *err)
{
	struct bench *bench = ctx;
	struct mm *other = objects_mm(&bench->objects, MM + 1);
	struct page_set lazy;
	int ret;

	page_set_init(&lazy);
	ret = page_set_add(&lazy, AT(0), 8, err) || mm_seal(other, &lazy, err) ? -1 : 0;
	page_set_destroy(&lazy);
	return ret;
}

static void test_also(void **state)
{
	struct bench *bench = *state;
	struct mm *other = name_other(bench, MM);
	uint8_t data[P];

	bench->receiver.hooks.final = seal_other;
	pages(bench, 0, 4, 3);
	list(bench, FRAME_ZERO, 5, 1);
	assert_int_equal(run(bench), 0);
	assert_int_equal(other->mirror.have.nr, 3);
	assert_int_equal(mirror_read(&other->mirror, AT(3), 1, data, &bench->err), 0);
	assert_int_equal(data[0], 3);
	assert_true(page_set_has(&other->mirror.have, AT(5)));
	assert_null(bench->receiver.also.runs);
}

static void test_also_of_itself(void **state)
{
	name_other(*state, MM + 1);
	refused(*state);
}

static void test_also_of_nobody(void **state)
{
	name_other(*state, MM + 2);
	refused(*state);
}

static void test_also_before_final(void **state)
{
	list(*state, FRAME_ALSO, 0, 1);
	refused(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_unknown_object), BENCH_TEST(test_one_object_of_two),
		BENCH_TEST(test_after_its_final), BENCH_TEST(test_object_that_is_gone),
		BENCH_TEST(test_gone_after_final), BENCH_TEST(test_two_objects),
		BENCH_TEST(test_copy), BENCH_TEST(test_also), BENCH_TEST(test_also_of_itself),
		BENCH_TEST(test_also_of_nobody), BENCH_TEST(test_also_before_final),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
