// SPDX-License-Identifier: GPL-2.0
/* Shared memory that is compared by several threads as soon as the program stands. */
#define _GNU_SOURCE
#include "tests/shm_bench.h"
#include "source/shm_compare.h"

/* An early comparison, of a program that stands for as long as the test does not write. */
static void compare(struct bench *bench, bool stop)
{
	struct shm_compare compare = { 0 };

	shm_compare_start(&compare, &bench->shms, &bench->box);
	shm_compare_start(&compare, &bench->shms, &bench->box);
	for (bool done = !stop; !done; ) {
		pthread_mutex_lock(&compare.lock);
		done = compare.at == bench->shms.nr;
		pthread_mutex_unlock(&compare.lock);
	}
	if (stop)
		shm_compare_stop(&compare);
	shm_compare_end(&compare);
	shm_compare_end(&compare);
}

/* 100 pages that the destination has, one of which is another one since. */
static void send_and_write(struct bench *bench)
{
	map(bench);
	memset(bench->map, 1, 100 * PAGE_BYTES);
	find(bench);
	assert_int_equal(send_round(bench), 100);
	write_page(bench, 5, 3);
	bench->sender.frozen = true;
}

/* What is the same is not read again. What is not the same, or is new, goes. */
static void shm_test_early(void **state)
{
	struct bench *bench = *state;

	send_and_write(bench);
	write_page(bench, 150, 4);
	compare(bench, false);
	assert_true(shm_is_known(bench->shms.list[0], 4 * PAGE_BYTES));
	assert_false(shm_is_known(bench->shms.list[0], 5 * PAGE_BYTES));
	assert_false(shm_is_known(bench->shms.list[0], 150 * PAGE_BYTES));
	assert_int_equal(send_round(bench), 2);
	same(bench);
	assert_int_equal(bench->shms.early_pages, 99);
	assert_int_equal(bench->shms.compared_pages, 101);
	/* a program that stands does not do this: it shows that the page is not read again */
	write_page(bench, 7, 8);
	assert_int_equal(send_round(bench), 0);
}

/* A hole, and where the object is shorter or longer than it was. */
static void shm_test_early_holes(void **state)
{
	struct bench *bench = *state;

	send_and_write(bench);
	assert_int_equal(fallocate(bench->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   10 * PAGE_BYTES, 3 * PAGE_BYTES), 0);
	assert_int_equal(ftruncate(bench->fd, 50 * PAGE_BYTES + 100), 0);
	compare(bench, false);
	assert_int_equal(ftruncate(bench->fd, 2 * PAGES * PAGE_BYTES), 0);
	assert_false(shm_is_known(bench->shms.list[0], 50 * PAGE_BYTES));
	assert_false(shm_is_known(bench->shms.list[0], 300 * PAGE_BYTES));
	assert_int_equal(send_round(bench), 2);
	assert_false(bench->have[10] || bench->have[12]);
	same(bench);
}

/* The program runs again, or the migration has failed: nothing of it counts. */
static void shm_test_early_stopped(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	send_and_write(bench);
	compare(bench, true);
	assert_false(shm_is_known(bench->shms.list[0], 4 * PAGE_BYTES));
	write_page(bench, 7, 8);
	assert_int_equal(send_round(bench), 2);
	error_set(&err, CODE_ABORTED, NULL, "a signal");
	mailbox_lock(&bench->box);
	mailbox_fail_locked(&bench->box, &err, false);
	mailbox_unlock(&bench->box);
	compare(bench, false);
	assert_false(shm_is_known(bench->shms.list[0], 4 * PAGE_BYTES));
}

/* CRIU lets threads run, for which the kernel writes their rseq areas. */
static void shm_test_early_rseq(void **state)
{
	struct vma vmas[2] = { { .start = 0x10000, .end = 0x20000 },
			       { .start = 0x20000, .end = 0x30000 } };
	struct criu_area area = { .addr = 0x1fff0, .bytes = 32 };
	const struct criu_task task = {
		.rseq = &area, .nr_rseq = 1, .vmas = { .vmas = vmas, .nr = 2 },
	};
	struct bench *bench = *state;

	send_and_write(bench);
	compare(bench, false);
	shms_forget_rseq(&bench->shms, &task);
	assert_true(shm_is_known(bench->shms.list[0], 4 * PAGE_BYTES));
	vmas[1].shared = true;
	shms_forget_rseq(&bench->shms, &task);
	assert_false(shm_is_known(bench->shms.list[0], 4 * PAGE_BYTES));
	assert_int_equal(send_round(bench), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shm_test_early, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_early_holes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_early_stopped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shm_test_early_rseq, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
