// SPDX-License-Identifier: GPL-2.0
/* The window of what no fault asks for, on page servers and links that are played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "services/lazy_pace.h"

#define GETS	256

/** struct line - a page server that answers in order; @request_us, @page_us: what it takes; @way_us: there and back */
struct line {
	struct lazy_pace pace;
	int64_t request_us, page_us, way_us, busy_until, now;
	struct { int64_t asked, comes; uint64_t nr_pages; } gets[GETS];
	size_t first, nr;
	uint64_t pages, came;
};

static void ask(struct line *line, uint64_t nr_pages)
{
	size_t at = (line->first + line->nr++) % GETS;

	assert_true(line->nr <= GETS);
	if (line->busy_until < line->now)
		line->busy_until = line->now;
	line->busy_until += line->request_us + nr_pages * line->page_us;
	line->gets[at].asked = line->now;
	line->gets[at].comes = line->busy_until + line->way_us;
	line->gets[at].nr_pages = nr_pages;
	line->pages += nr_pages;
}

static void take(struct line *line)
{
	uint64_t nr_pages = line->gets[line->first].nr_pages;

	line->now = line->gets[line->first].comes;
	lazy_pace_came(&line->pace, line->now - line->gets[line->first].asked, nr_pages, line->pages, line->nr);
	line->pages -= nr_pages;
	line->came += nr_pages;
	line->first = (line->first + 1) % GETS;
	line->nr--;
}

/* As much as the pace allows for so long; pieces are @piece pages at most. Return: pages that came in a second */
static uint64_t run(struct line *line, int64_t us, uint64_t piece)
{
	int64_t begin = line->now, end = begin + us;
	uint64_t before = line->came;

	while (line->now < end) {
		uint64_t nr_pages;

		while ((nr_pages = lazy_pace_piece(&line->pace, line->pages, line->nr)))
			ask(line, nr_pages < piece ? nr_pages : piece);
		take(line);
	}
	return (line->came - before) * 1000000 / (line->now - begin);
}

/* How long a fault would wait for what is under way. */
static int64_t wait_us(const struct line *line)
{
	return line->busy_until > line->now ? line->busy_until - line->now : 0;
}

static void near(void **state)
{
	struct line line = { .request_us = 35, .page_us = 2, .way_us = 20 };

	run(&line, 100000, LAZY_PACE_PIECE);
	assert_true(wait_us(&line) <= 300);
	/* pieces of a few pages take nearly as long: fewer pages are under way then */
	run(&line, 100000, 4);
	assert_true(wait_us(&line) <= 300);
}

static void one_is_always_allowed(void **state)
{
	/* 100 Mbit/s: a piece alone takes longer than the fastest answer by far */
	struct line line = { .request_us = 35, .page_us = 330, .way_us = 100 };

	ask(&line, 1);
	take(&line);
	assert_true(run(&line, 1000000, LAZY_PACE_PIECE) > 2500);
	assert_true(line.pages <= LAZY_PACE_LEAST);
}

/* 1 Gbit/s and 20 ms: the line is to be filled, and a fault not to wait for much longer than those 20 ms. */
static void far(void **state)
{
	struct line line = { .request_us = 35, .page_us = 33, .way_us = 20000 };

	run(&line, 5000000, LAZY_PACE_PIECE);
	assert_true(run(&line, 2000000, LAZY_PACE_PIECE) > 1000000 / 33 * 8 / 10);
	assert_true(wait_us(&line) < 10000);
}

static void unused_window_does_not_grow(void **state)
{
	struct line line = { .request_us = 35, .page_us = 2, .way_us = 20000 };

	for (int i = 0; i < 1000; i++) {
		ask(&line, 1);
		take(&line);
	}
	assert_true(line.pace.window <= 2 * LAZY_PACE_LEAST);
}

static void bounds(void **state)
{
	struct lazy_pace pace = { 0 };

	for (int i = 0; i < 100000; i++)
		lazy_pace_came(&pace, 100000, LAZY_PACE_PIECE, LAZY_PACE_MOST, 64);
	assert_int_equal(pace.window, LAZY_PACE_MOST);
	assert_int_equal(lazy_pace_piece(&pace, 0, 0), LAZY_PACE_PIECE);
	assert_int_equal(lazy_pace_piece(&pace, LAZY_PACE_MOST, 1), 0);
	for (int i = 0; i < 100000; i++)
		lazy_pace_came(&pace, 10000000, LAZY_PACE_PIECE, LAZY_PACE_MOST, 64);
	assert_int_equal(pace.window, LAZY_PACE_LEAST);
	assert_int_equal(lazy_pace_piece(&pace, 0, 0), LAZY_PACE_LEAST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(near),
		cmocka_unit_test(one_is_always_allowed),
		cmocka_unit_test(far),
		cmocka_unit_test(unused_window_does_not_grow),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
