// SPDX-License-Identifier: GPL-2.0
/* After FINAL a page that processes share travels once: the push. Before it the destination copies the page. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "tests/sharers_bench.h"

static int push(struct bench *bench)
{
	struct push push = {
		.tree = &bench->tree, .sender = &bench->sender, .box = &bench->box,
	};
	int ret = push_run(&push, &bench->err);

	see(bench);
	return ret;
}

static void a_page_of_several_travels_once(void **state)
{
	struct bench *bench = *state;
	const struct seen *seen = &bench->seen;

	skip_without_frames();
	assert_int_equal(push(bench), 0);
	assert_int_equal(seen->pages[PARENT], PAGES);
	assert_int_equal(seen->also[PARENT][FIRST], PAGES - OWN - OWN);
	assert_int_equal(seen->pages[FIRST], 2 * OWN);
	assert_int_equal(seen->also[PARENT][SECOND], PAGES - OWN);
	/* the parent has others there now */
	assert_int_equal(seen->also[FIRST][SECOND], OWN);
	assert_int_equal(seen->pages[SECOND], 0);
	assert_int_equal(bench->sender.inherited, 2 * PAGES - 2 * OWN);
	for (uint32_t i = PARENT; i <= SECOND; i++)
		assert_int_equal(tree_find_mm(&bench->tree, i)->dest_current.nr, PAGES);
}

/* The destination has them, or another thread sends them. */
static void what_is_not_unsent_is_not_named(void **state)
{
	struct bench *bench = *state;
	const struct splice_vm_run run = run_of(100, 20, 0);

	skip_without_frames();
	source_mm_claim(tree_find_mm(&bench->tree, SECOND), &run, 1);
	assert_int_equal(push(bench), 0);
	assert_int_equal(bench->seen.also[PARENT][SECOND], PAGES - OWN - 20);
	assert_int_equal(bench->seen.pages[SECOND], 0);
}

/* It was killed: page maps say nothing. */
static void what_cannot_be_read_is_not_named(void **state)
{
	struct bench *bench = *state;

	skip_without_frames();
	kill(bench->children[0], SIGKILL);
	waitpid(bench->children[0], NULL, 0);
	assert_int_equal(push(bench), 0);
	assert_int_equal(bench->seen.also[PARENT][FIRST], 0);
	assert_int_equal(bench->seen.pages[FIRST], PAGES);
	assert_int_equal(bench->seen.also[PARENT][SECOND], PAGES - OWN);
}

/* One read of each page map for many runs, and twice more that of the one that sends. */
static void scattered_pages_are_looked_at_at_once(void **state)
{
	struct bench *bench = *state;
	struct splice_vm_run runs[20];

	skip_without_frames();
	for (uint64_t page = 0; page < PAGES; page += 2)
		for (uint32_t i = PARENT; i <= SECOND; i++)
			source_mm_claim(tree_find_mm(&bench->tree, i), &(struct splice_vm_run){
					.addr = AT(page), .nr_pages = 1 }, 1);
	for (int i = 0; i < 20; i++)
		runs[i] = run_of(100 + 2 * i, 2, 0);
	reads = 0;
	assert_int_equal(sharers_send(&bench->tree, &bench->sender, tree_find_mm(&bench->tree, PARENT),
				      runs, 20, &bench->err), 0);
	assert_int_equal(reads, 1 + 2 * 3);
	see(bench);
	/* not the pages between */
	assert_int_equal(bench->seen.also[PARENT][FIRST], 20);
	assert_int_equal(tree_find_mm(&bench->tree, FIRST)->unsent.nr, PAGES / 2 - 20);
}

/* The destination would forget what was named before. */
static void those_without_room_are_not_named(void **state)
{
	struct bench *bench = *state;
	struct splice_vm_run runs[20];

	skip_without_frames();
	for (int i = 0; i < 20; i++)
		runs[i] = run_of(100 + 2 * i, 1, 0);
	bench->sender.also_max = 30;
	assert_int_equal(sharers_send(&bench->tree, &bench->sender, tree_find_mm(&bench->tree, PARENT),
				      runs, 20, &bench->err), 0);
	see(bench);
	assert_int_equal(bench->seen.also[PARENT][FIRST], 20);
	assert_int_equal(bench->seen.also[PARENT][SECOND], 0);
	assert_int_equal(tree_find_mm(&bench->tree, SECOND)->unsent.nr, PAGES);
}

/* Page maps of hundreds of processes are not read for what one has by itself. */
static void pages_that_nobody_shares_are_compared_with_nobody(void **state)
{
	struct bench *bench = *state;
	const struct splice_vm_run run = run_of(0, OWN, 0);

	skip_without_frames();
	reads = 0;
	assert_int_equal(sharers_send(&bench->tree, &bench->sender, tree_find_mm(&bench->tree, FIRST),
				      &run, 1, &bench->err), 0);
	assert_int_equal(reads, 1);
	see(bench);
	assert_int_equal(bench->seen.also[FIRST][SECOND], 0);
}

/* Before FINAL the destination copies the parent's page: what the parent has sent its child need not send. */
/* The backend has told when it listed the pages which of them may be others' too. */
static void only_listed_pages_are_compared(void **state)
{
	struct bench *bench = *state;
	struct source_mm *parent = tree_find_mm(&bench->tree, PARENT);

	skip_without_frames();
	parent->knows_common = true;
	assert_int_equal(page_set_add(&parent->common, AT(100), 20, &bench->err), 0);
	assert_int_equal(push(bench), 0);
	assert_int_equal(bench->seen.also[PARENT][FIRST], 20);
	assert_int_equal(bench->seen.also[PARENT][SECOND], 20);
	assert_int_equal(bench->seen.pages[PARENT], PAGES);
}

static void no_page_map_is_read_for_a_process_that_shares_nothing(void **state)
{
	struct bench *bench = *state;
	const struct splice_vm_run run = run_of(0, PAGES, 0);
	struct source_mm *parent = tree_find_mm(&bench->tree, PARENT);

	parent->knows_common = true;
	reads = 0;
	assert_int_equal(sharers_send(&bench->tree, &bench->sender, parent, &run, 1, &bench->err), 0);
	assert_int_equal(reads, 0);
}

static void what_the_parent_has_sent_is_copied(void **state)
{
	struct bench *bench = *state;
	struct source_mm *parent = tree_find_mm(&bench->tree, PARENT), *mm = tree_find_mm(&bench->tree, FIRST);

	skip_without_frames();
	assert_int_equal(page_set_add(&parent->dest_current, AT(0), 100, &bench->err), 0);
	assert_int_equal(sharers_copy(&bench->sender, parent, mm, &bench->err), 0);
	see(bench);
	/* neither what one of them wrote, nor what the destination lacks of the parent */
	assert_int_equal(bench->seen.copies, 100 - 2 * OWN);
	assert_int_equal(mm->unsent.nr, PAGES - 100 + 2 * OWN);
	assert_int_equal(mm->dest_current.nr, 100 - 2 * OWN);
	assert_true(page_set_has(&mm->unsent, AT(OWN - 1)));
	assert_true(page_set_has(&mm->unsent, AT(LATER)));
	assert_false(page_set_has(&mm->unsent, AT(OWN)));
	assert_int_equal(parent->unsent.nr, PAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(a_page_of_several_travels_once),
		BENCH_TEST(what_is_not_unsent_is_not_named),
		BENCH_TEST(what_cannot_be_read_is_not_named),
		BENCH_TEST(scattered_pages_are_looked_at_at_once),
		BENCH_TEST(those_without_room_are_not_named),
		BENCH_TEST(pages_that_nobody_shares_are_compared_with_nobody),
		BENCH_TEST(only_listed_pages_are_compared),
		BENCH_TEST(no_page_map_is_read_for_a_process_that_shares_nothing),
		BENCH_TEST(what_the_parent_has_sent_is_copied),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
