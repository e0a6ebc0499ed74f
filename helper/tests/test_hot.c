// SPDX-License-Identifier: GPL-2.0
/* Pages that the program writes in each round wait until the rounds end. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/parts_model.h"

#define HOT	50UL
#define COLD	2048UL	/* of the same part: half of them in the first round, half of the rest in the next one */

static void write_cold(struct model *model)
{
	size_t first = HOT + COLD - (COLD >> (model->lists - 1));

	for (size_t i = 0; i < COLD >> model->lists; i++)
		write_page(&model->pages[first + i]);
}

/* Behind their part, in each round: the hot ones, and fewer and fewer others. @until: the last round of the hot ones */
static void write_in_round(struct model *model, unsigned int until)
{
	for (size_t i = 0; model->lists <= until && i < HOT; i++)
		write_page(&model->pages[i]);
	write_cold(model);
}

static void write_hot(struct model *model)
{
	write_in_round(model, 100);
}

static void write_hot_for_a_while(struct model *model)
{
	write_in_round(model, 4);
}

/* Three times, as nobody can know it before; then they wait until the program stands. */
static void hot_pages_are_sent_last(void **state)
{
	struct bench *bench = *state;
	const struct round_figures *rounds;

	bench->model.on_send = write_hot;
	bench->kit.pre.rule.max_rounds = 6;
	run(bench);
	rounds = bench->kit.figures.rounds;
	assert_int_equal(bench->kit.pre.rounds, 6);
	for (size_t i = 0; i < HOT; i++)
		assert_int_equal(bench->model.pages[i].times, 3);
	assert_int_equal(rounds[2].put_off, 0);
	for (size_t i = 3; i < 6; i++)
		assert_int_equal(rounds[i].put_off, HOT);
	assert_true(bench->kit.dest.seen[1].stale >= HOT);
	for (size_t i = 0; i < HOT; i++)
		assert_false(page_set_has(&mm_of(bench)->dest_current, AT(i)));
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

/* Not written in one round, and not hot any more: the next one sends them. */
static void pages_that_cool_down_are_sent(void **state)
{
	struct bench *bench = *state;

	bench->model.on_send = write_hot_for_a_while;
	bench->kit.pre.rule.max_rounds = 7;
	run(bench);
	for (size_t i = 0; i < HOT; i++) {
		assert_int_equal(bench->model.pages[i].times, 4);
		assert_true(page_set_has(&mm_of(bench)->dest_current, AT(i)));
	}
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

/* Which pages it will write is not known when it gets less CPU time. */
static void a_throttled_program_has_no_hot_pages(void **state)
{
	struct bench *bench = *state;
	struct throttle throttle = { .percentage = 50 };

	bench->model.on_send = write_hot;
	bench->kit.pre.rule.max_rounds = 6;
	bench->kit.pre.throttle = &throttle;
	run(bench);
	for (size_t i = 0; i < HOT; i++)
		assert_int_equal(bench->model.pages[i].times, bench->kit.pre.rounds);
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

/* A page that is gone is not sent when it cools down. */
static void drop_hot(struct model *model)
{
	if (model->lists < 5)
		write_hot(model);
	for (size_t i = 0; model->lists == 5 && i < HOT; i++)
		model->pages[i] = (struct page){ .dropped = true, .times = model->pages[i].times };
	if (model->lists >= 5)
		write_cold(model);
}

static void hot_pages_are_dropped(void **state)
{
	struct bench *bench = *state;

	bench->model.on_send = drop_hot;
	bench->kit.pre.rule.max_rounds = 7;
	run(bench);
	assert_int_equal(bench->kit.dest.seen[1].dropped, HOT);
	for (size_t i = 0; i < HOT; i++)
		assert_false(page_set_has(&mm_of(bench)->dest_current, AT(i)));
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}
int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(hot_pages_are_sent_last), BENCH_TEST(pages_that_cool_down_are_sent),
		BENCH_TEST(a_throttled_program_has_no_hot_pages), BENCH_TEST(hot_pages_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
