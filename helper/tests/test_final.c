// SPDX-License-Identifier: GPL-2.0
/* The lists of the frozen program, up to FINAL. */
#define _GNU_SOURCE
#include <signal.h>
#include "source/final.h"
#include "source/first_pages.h"
#include "tests/criu_images.h"
#include "tests/fake_backend.h"
#include "tests/fake_dest.h"

#define PAGES	100
#define ROUND	4	/* the last one that was announced */

struct bench {
	struct fake fake;
	struct tree tree;
	struct source_shms shms;
	struct source_mm *mm;
	struct criu_version criu;
	struct test_dir dir;
	struct conn conn;
	struct sender sender;
	struct mailbox box;
	struct figures figures;
	struct final final;
	struct fake_dest dest;
	struct error err;
};

/* A program with one mapping, and all of its pages. */
static void write_images(int dir_fd)
{
	const struct test_vma vmas[] = {
		{ .start = AT(0), .end = AT(PAGES), .flags = FLAGS_ANON, .status = STATUS_REGULAR },
	};

	pstree_write(dir_fd, (uint32_t []){ TEST_PID }, 1);
	core_write(dir_fd, TEST_PID, 1, 0);
	mm_write(dir_fd, vmas, 1);
}

/* The destination has 60 of its pages; 10 of these were written since, and another 10. */
static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct source_process *process;

	*state = bench;
	dir_make(&bench->dir);
	write_images(bench->dir.fd);
	process = tree_add(&bench->tree, getpid(), &bench->err);
	if (!process)
		return -1;
	process->status.ns_pid = TEST_PID;
	process->announced = true;
	bench->mm = &process->mm;
	bench->mm->tracked = true;
	fake_init(&bench->fake);
	bench->mm->backend = &bench->fake.backend;
	bench->fake.populated[bench->fake.nr_populated++] = run_of(0, PAGES, 0);
	fake_add_scan(&bench->fake, 0, run_of(50, 20, SPLICE_VM_RUN_DIRTY));
	mailbox_init(&bench->box, "the destination");
	if (page_set_add(&bench->mm->dest_current, AT(0), 60, &bench->err) ||
	    fake_dest_open(&bench->dest, PHASE_PRECOPY, 1, &bench->conn, &bench->err))
		return -1;
	bench->final = (struct final){
		.tree = &bench->tree, .shms = &bench->shms, .sender = &bench->sender,
		.ctl = bench->dest.source,
		.box = &bench->box, .figures = &bench->figures, .criu = &bench->criu,
		.mode = MODE_AUTO, .round = ROUND, .images_fd = bench->dir.fd,
	};
	return sender_init(&bench->sender, &bench->conn, true, &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	fake_dest_end(&bench->dest, &bench->conn);
	fake_dest_close(&bench->dest);
	sender_destroy(&bench->sender);
	tree_destroy(&bench->tree);
	mailbox_destroy(&bench->box);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

static const struct fake_seen *run(struct bench *bench)
{
	assert_int_equal(final_send(&bench->final, &bench->err), 0);
	fake_dest_end(&bench->dest, &bench->conn);
	return &bench->dest.seen[1];
}

static void the_rest_stays_unsent(void **state)
{
	struct bench *bench = *state;
	const struct fake_seen *seen = run(bench);

	assert_int_equal(bench->dest.maps, 1);
	assert_int_equal(bench->dest.frozen, 1);
	assert_int_equal(seen->stale, 20);
	assert_int_equal(seen->populated, PAGES);
	assert_int_equal(seen->finals, 1);
	assert_int_equal(seen->pages, 0);
	/* of a round that the destination takes only after Maps */
	assert_int_equal(seen->last_round, ROUND + 1);
	assert_int_equal(bench->mm->unsent.nr, PAGES - 50);
	assert_true(page_set_has(&bench->mm->unsent, AT(50)));
	assert_false(page_set_has(&bench->mm->unsent, AT(49)));
	assert_int_equal(bench->dest.announced, PAGES * PAGE_BYTES);
	assert_true(atomic_load(&bench->mm->final));
	assert_true(bench->sender.frozen);
}

static void all_is_sent_in_mode_precopy(void **state)
{
	struct bench *bench = *state;
	const struct fake_seen *seen;

	bench->final.mode = MODE_PRECOPY;
	seen = run(bench);
	assert_int_equal(seen->pages, PAGES - 50);
	assert_int_equal(bench->figures.frozen_pages, PAGES - 50);
	assert_int_equal(bench->mm->unsent.nr, 0);
	assert_int_equal(bench->mm->dest_current.nr, PAGES);
	assert_int_equal(seen->finals, 1);
}

/* CRIU's bits are followed, but the destination has no page that could be old. */
static void nothing_is_stale_in_mode_postcopy(void **state)
{
	struct bench *bench = *state;
	const struct fake_seen *seen;

	page_set_remove(&bench->mm->dest_current, AT(0), 60);
	bench->final.mode = MODE_POSTCOPY;
	seen = run(bench);
	assert_int_equal(bench->fake.nr_scans, 1);
	assert_int_equal(seen->stale, 0);
	assert_int_equal(bench->mm->unsent.nr, PAGES);
}

/* Found by the scan of freeze.c, before CRIU came. */
static void what_was_dirty_before_is_stale_too(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(page_set_add(&bench->mm->dirty, AT(0), 5, &bench->err), 0);
	assert_int_equal(run(bench)->stale, 25);
	assert_int_equal(bench->mm->unsent.nr, PAGES - 45);
}

/* @nr threads, whose stacks end on every second page from @page on; the first one has rseq on page 70. */
static void write_threads(struct bench *bench, uint32_t nr, uint64_t page)
{
	uint32_t tids[PAGES];

	for (uint32_t i = 0; i < nr; i++) {
		tids[i] = TEST_PID + i;
		core_write_stack(bench->dir.fd, tids[i], !i, i ? 0 : AT(70) + 32, AT(page + 2 * i) + 8);
	}
	pstree_write(bench->dir.fd, tids, nr);
}

/* What each thread touches first is there before the program runs there. */
static void first_pages_are_sent(void **state)
{
	struct bench *bench = *state;
	const struct fake_seen *seen;

	/* of the first stack's pages the second one is unsent; of the next one's both */
	write_threads(bench, 2, 49);
	seen = run(bench);
	assert_int_equal(seen->pages, 4);
	assert_int_equal(bench->mm->unsent.nr, PAGES - 50 - 4);
	assert_false(page_set_has(&bench->mm->unsent, AT(70)));
	assert_true(page_set_has(&bench->mm->dest_current, AT(50)));
	assert_true(page_set_has(&bench->mm->dest_current, AT(52)));
	assert_true(page_set_has(&bench->mm->unsent, AT(53)));
	assert_int_equal(seen->finals, 1);
}

/* The program stands while they are sent. */
static void first_pages_are_few(void **state)
{
	struct bench *bench = *state;

	bench->final.mode = MODE_POSTCOPY;
	page_set_remove(&bench->mm->dest_current, AT(0), 60);
	write_threads(bench, 45, 0);
	assert_in_range(run(bench)->pages, FIRST_PAGES_MAX - 1, FIRST_PAGES_MAX + 1);
}

/* The program goes on here: FINAL would let requests in. */
static void a_failure_while_all_is_sent(void **state)
{
	const struct error why = { .code = CODE_ABORTED, .what = "this is a test" };
	struct bench *bench = *state;

	mailbox_lock(&bench->box);
	mailbox_fail_locked(&bench->box, &why, true);
	mailbox_unlock(&bench->box);
	bench->final.mode = MODE_PRECOPY;
	assert_int_equal(final_send(&bench->final, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_ABORTED);
	assert_false(atomic_load(&bench->mm->final));
	fake_dest_end(&bench->dest, &bench->conn);
	assert_int_equal(bench->dest.seen[1].finals, 0);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(the_rest_stays_unsent), BENCH_TEST(all_is_sent_in_mode_precopy),
		BENCH_TEST(nothing_is_stale_in_mode_postcopy),
		BENCH_TEST(what_was_dirty_before_is_stale_too),
		BENCH_TEST(first_pages_are_sent), BENCH_TEST(first_pages_are_few),
		BENCH_TEST(a_failure_while_all_is_sent),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
