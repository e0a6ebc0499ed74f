// SPDX-License-Identifier: GPL-2.0
/* Rounds by parts, with a model of memory that the program writes to at any moment. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "pages/sets.h"
#include "tests/parts_model.h"

/* A part is taken when all pages of the part before were sent. */
static void parts_are_sent_one_by_one(void **state)
{
	struct bench *bench = *state;
	struct model *model = &bench->model;

	run(bench);
	assert_int_equal(bench->kit.pre.rounds, 1);
	assert_int_equal(model->lists, 2);
	assert_int_equal(model->parts, 4);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(model->part_log[i], i * PART);
	assert_int_equal(model->sent, PAGES);
	assert_int_equal(mm_of(bench)->dest_current.nr, PAGES);
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

static void no_write_is_lost(void **state)
{
	struct bench *bench = *state;

	bench->model.seed = 7;
	bench->model.writes = 40;
	run(bench);
	assert_true(bench->kit.pre.rounds > 1);
	assert_true(bench->model.sent > PAGES);
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
	assert_true(mm_of(bench)->dest_current.nr > 0);
}

static int ignore_runs(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	return 0;
}

/* The control of the test above: a sender that sends a part before it is taken loses writes. */
static void sending_before_taking_loses(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = mm_of(bench);
	struct backend_send send = { 0 };
	struct splice_vm_run whole = run_of(0, PART, 0);
	struct scan_sum sum = { 0 };

	bench->model.seed = 7;
	bench->model.writes = 40;
	assert_int_equal(page_set_add(&mm->dest_current, AT(0), PART, &bench->kit.err), 0);
	assert_int_equal(model_send(&bench->model.backend, &send, &whole, 1, ignore_runs, NULL,
				    &bench->kit.err), 0);
	assert_int_equal(scan_part(mm, &bench->kit.sender, 0, USER_END, &sum, &bench->kit.err), 0);
	sets_clear(&mm->dirty);
	assert_true(old_pages(bench, mm) > 0);
}

/* Written twice before its part is taken: sent once. */
static void rewrite_all(struct model *model)
{
	for (size_t i = 0; model->lists == 1 && i < PAGES; i++)
		write_page(&model->pages[i]);
}

static void pages_written_before_their_part_go_once(void **state)
{
	struct bench *bench = *state;

	bench->model.on_list = rewrite_all;
	run(bench);
	assert_int_equal(bench->model.sent, PAGES);
	assert_int_equal(bench->kit.pre.rounds, 1);
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

static void map_behind(struct model *model)
{
	for (size_t i = PAGES; i < PAGES + BEHIND; i++)
		write_page(&model->pages[i]);
}

/* Its mapping is not announced yet: the page is not lost for it. */
static void a_mapping_behind_the_list_is_put_off(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = mm_of(bench);
	struct scan_sum sum = { 0 };

	assert_int_equal(scan_list(mm, &bench->kit.err), 0);
	map_behind(&bench->model);
	assert_int_equal(scan_part(mm, &bench->kit.sender, 0, USER_END, &sum, &bench->kit.err), 0);
	assert_int_equal(sum.dirty, PAGES + BEHIND);
	assert_int_equal(mm->dirty.nr, PAGES);
	assert_int_equal(mm->later.nr, BEHIND);
	assert_int_equal(source_mm_end_round(mm, &bench->kit.err), 0);
	assert_int_equal(mm->dirty.nr, BEHIND);
	assert_int_equal(mm->later.nr, 0);
}

/* An old page of an earlier mapping is at the destination: a filter would leave it there for current. */
static void an_old_page_without_a_mapping_stays_dirty(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = mm_of(bench);
	struct scan_sum sum = { 0 };

	assert_int_equal(page_set_add(&mm->dest_current, AT(PAGES), 1, &bench->kit.err), 0);
	map_behind(&bench->model);
	assert_int_equal(scan_part(mm, &bench->kit.sender, 0, USER_END, &sum, &bench->kit.err), 0);
	assert_false(page_set_has(&mm->dirty, AT(PAGES)));
	assert_true(page_set_has(&mm->later, AT(PAGES)));
}

/* The destination has made room for what was listed. */
static void new_memory_waits_for_the_next_round(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = mm_of(bench);
	struct scan_sum sum = { 0 };

	for (size_t i = 0; i < PART; i++)
		bench->model.pages[i].here = i >= 100;
	assert_int_equal(scan_list(mm, &bench->kit.err), 0);
	for (size_t i = 0; i < 100; i++)
		write_page(&bench->model.pages[i]);
	assert_int_equal(scan_part(mm, &bench->kit.sender, 0, USER_END, &sum, &bench->kit.err), 0);
	assert_int_equal(mm->dirty.nr, PAGES - 100);
	assert_int_equal(mm->later.nr, 100);
}

/* Five pages behind the first list, and five behind the second one. */
static void drop_some(struct model *model)
{
	for (size_t i = 0; model->lists <= 2 && i < 5; i++)
		model->pages[5 * model->lists + i] = (struct page){ .dropped = true };
}

/* The destination has nothing in the first round that could be dropped. */
static void drops_are_told_from_the_second_round_on(void **state)
{
	struct bench *bench = *state;

	bench->model.on_list = drop_some;
	bench->model.seed = 3;
	bench->model.writes = 1;
	bench->kit.pre.rule.max_rounds = 2;
	run(bench);
	assert_int_equal(bench->kit.dest.seen[1].rounds, 2);
	assert_int_equal(bench->kit.dest.seen[1].dropped, 5);
	assert_false(page_set_has(&mm_of(bench)->dest_current, AT(10)));
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

/* What the last list has found is taken, and told as old, before the program stands. */
static void the_last_list_is_taken(void **state)
{
	struct bench *bench = *state;

	bench->model.seed = 3;
	bench->model.writes = 40;
	run(bench);
	assert_true(bench->kit.dest.seen[1].stale > 0);
	assert_int_equal(mm_of(bench)->dirty.nr, 0);
}

static void write_parts(struct model *model)
{
	for (size_t i = 0; model->lists == 2 && i < 2 * PART; i++)
		write_page(&model->pages[i]);
}

/* The last list has nothing, and much is taken: it does not wait until the program stands. */
static void what_no_list_has_gets_a_round(void **state)
{
	struct bench *bench = *state;

	bench->model.on_list = write_parts;
	run(bench);
	assert_int_equal(bench->kit.pre.rounds, 2);
	assert_int_equal(bench->model.sent, PAGES + 2 * PART);
	assert_int_equal(bench->kit.dest.seen[1].stale, 0);
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

static void relatives_are_scanned_at_once(void **state)
{
	struct bench *bench = *state;
	struct source_process *parent = tree_root(&bench->kit.tree);
	struct source_process *child = tree_add(&bench->kit.tree, getpid(), &bench->kit.err);

	parent->mm.tracked = true;
	child->mm.tracked = true;
	child->mm.backend = &bench->model.backend;
	child->inherit.parent = 0;
	assert_true(parts_can(&bench->kit.tree, parent));
	child->inherit.parent = parent->mm.object;
	assert_false(parts_can(&bench->kit.tree, parent));
	assert_false(parts_can(&bench->kit.tree, child));
	child->inherit.apart = true;
	assert_true(parts_can(&bench->kit.tree, parent));
	assert_true(parts_can(&bench->kit.tree, child));
	bench->model.backend.by_parts = false;
	assert_false(parts_can(&bench->kit.tree, parent));
	child->inherit.parent = 0;
	child->mm.backend = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(parts_are_sent_one_by_one), BENCH_TEST(no_write_is_lost),
		BENCH_TEST(sending_before_taking_loses),
		BENCH_TEST(pages_written_before_their_part_go_once),
		BENCH_TEST(a_mapping_behind_the_list_is_put_off),
		BENCH_TEST(an_old_page_without_a_mapping_stays_dirty),
		BENCH_TEST(new_memory_waits_for_the_next_round),
		BENCH_TEST(drops_are_told_from_the_second_round_on),
		BENCH_TEST(the_last_list_is_taken), BENCH_TEST(what_no_list_has_gets_a_round),
		BENCH_TEST(relatives_are_scanned_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
