// SPDX-License-Identifier: GPL-2.0
/* The memory that a source may make the destination take. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/budget.h"
#include "dest/late_pages.h"
#include "dest/mm.h"
#include "dest/verify.h"
#include "os/proc.h"
#include "tests/mm_hooks.h"

#define MIB	(1UL << 20)
#define LOW	(1UL << 46)
#define BASE	0x7f0000000000UL
#define P	PAGE_BYTES

static void only_what_was_announced(void **state)
{
	struct budget budget;
	struct error err = { 0 };

	budget_init(&budget, NULL, NULL);
	assert_int_equal(budget_announce(&budget, BUDGET_MIRROR, 100 * MIB, &err), 0);
	assert_int_equal(budget_take(&budget, BUDGET_MIRROR, 100 * MIB, &err), 0);
	assert_int_equal(budget_take(&budget, BUDGET_MIRROR, 50 * MIB, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_non_null(strstr(err.what, "announced"));
	/* what is given back can be taken again, and less announced takes nothing away */
	budget_give(&budget, BUDGET_MIRROR, 60 * MIB);
	memset(&err, 0, sizeof(err));
	assert_int_equal(budget_announce(&budget, BUDGET_MIRROR, 0, &err), 0);
	assert_int_equal(budget_take(&budget, BUDGET_MIRROR, 50 * MIB, &err), 0);
	budget_give(&budget, BUDGET_MIRROR, ~0UL);
	assert_int_equal(budget.used[BUDGET_MIRROR], 0);
	assert_int_equal(budget_announce(&budget, BUDGET_MIRROR, 1UL << 47, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
}

static void one_total_for_all(void **state)
{
	struct places *places = places_new(1000 * MIB);
	struct budget one, two;
	struct error err = { 0 };

	place_begin(&places->place[0]);
	place_begin(&places->place[1]);
	budget_init(&one, places, &places->place[0]);
	budget_init(&two, places, &places->place[1]);
	assert_int_equal(budget_announce(&one, BUDGET_MIRROR, 600 * MIB, &err), 0);
	assert_int_equal(budget_announce(&two, BUDGET_MIRROR, 600 * MIB, &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	assert_non_null(strstr(err.hint, "--max-memory"));
	assert_true(atomic_exchange(&places->memory_short, false));
	/* nobody has to go for one that could not be had on an empty machine */
	assert_int_equal(budget_announce(&two, BUDGET_MIRROR, 1001 * MIB, &err), -1);
	assert_false(atomic_load(&places->memory_short));
	memset(&err, 0, sizeof(err));
	assert_int_equal(budget_announce(&two, BUDGET_MIRROR, 300 * MIB, &err), 0);
	/* the program has it: it is not the migration's any more */
	budget_installed(&one, 500 * MIB);
	assert_int_equal(budget_announce(&two, BUDGET_MIRROR, 600 * MIB, &err), 0);
	/* one that died has nothing */
	place_end(&places->place[1]);
	assert_int_equal(budget_announce(&one, BUDGET_IMAGES, 250 * MIB, &err), 0);
}

/* An image that is written anew is there as it was, in memory, and as it will be. */
static void images_are_written_anew(void **state)
{
	struct places *places = places_new(10000 * MIB);
	struct error err = { 0 };
	struct budget budget;

	place_begin(&places->place[0]);
	budget_init(&budget, places, &places->place[0]);
	assert_int_equal(budget_announce(&budget, BUDGET_IMAGES, 32 * MIB, &err), 0);
	assert_int_equal(atomic_load(&places->place[0].reserved), 96 * MIB);
	/* larger ones hold pages, which stay where they are */
	assert_int_equal(budget_announce(&budget, BUDGET_IMAGES, 640 * MIB, &err), 0);
	assert_int_equal(atomic_load(&places->place[0].reserved), 1152 * MIB);
	budget_drop_images(&budget);
	assert_int_equal(atomic_load(&places->place[0].reserved), 0);
}

static void no_more_than_the_machine_has(void **state)
{
	struct places *places = places_new(0);
	struct error err = { 0 };
	struct budget budget;

	place_begin(&places->place[0]);
	budget_init(&budget, places, &places->place[0]);
	assert_int_equal(budget_announce(&budget, BUDGET_MIRROR, proc_mem_available(), &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	memset(&err, 0, sizeof(err));
	assert_int_equal(budget_announce(&budget, BUDGET_MIRROR, MIB, &err), 0);
}

struct bench {
	struct mm mm;
	struct budget budget;
};

static int set_up(void **state)
{
	static struct bench bench;
	const struct mirror_range all = { LOW, USER_END };
	struct error err = { 0 };

	budget_init(&bench.budget, NULL, NULL);
	if (mm_init(&bench.mm, &no_mm_hooks, &err) || mm_announce(&bench.mm, &all, 1, &err) ||
	    budget_announce(&bench.budget, BUDGET_MIRROR, 16 * MIB, &err))
		return -1;
	bench.mm.mirror.budget = &bench.budget;
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	mm_destroy(&bench->mm);
	return 0;
}

static uint64_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long size, pages = 0;

	assert_int_equal(fscanf(file, "%lu %lu", &size, &pages), 2);
	fclose(file);
	return pages * P;
}

/* 40 bytes on the wire were 512 MiB of bits here. */
static void a_long_list_is_refused(void **state)
{
	const struct splice_vm_run run = { .addr = LOW, .nr_pages = ~0U };
	struct bench *bench = *state;
	uint64_t before = resident();
	struct error err = { 0 };

	assert_int_equal(mm_populate(&bench->mm, &run, 1, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_true(resident() < before + 64 * MIB);
}

/* The pages of @run have come. */
static int add(struct bench *bench, const struct splice_vm_run *run, struct error *err)
{
	struct mirror_windows *windows;

	return mm_begin_receive(&bench->mm, run, 1, &windows, err) ||
	       mm_end_receive(&bench->mm, windows, run, 1, err) ? -1 : 0;
}

/* A program that reserves much and uses little is a real one. */
static void much_reserved_little_used(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };

	for (uint64_t gib = 0; gib < 64; gib++) {
		const struct splice_vm_run run = { .addr = BASE + (gib << 30), .nr_pages = 16 };

		assert_int_equal(add(bench, &run, &err), 0);
		assert_int_equal(mm_populate(&bench->mm, &run, 1, &err), 0);
	}
	assert_int_equal(bench->mm.populated.nr, 1024);
}

/* Each of these pages needs 512 bytes of bits in five sets, besides itself, and each eighth one a table in each set. */
static void scattered_pages_are_counted(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };
	int ret = 0;

	for (uint64_t i = 0; i < 4096 && !ret; i++) {
		const struct splice_vm_run run = { .addr = LOW + (i << 27), .nr_pages = 1 };

		ret = add(bench, &run, &err);
		if (!ret)
			ret = mm_populate(&bench->mm, &run, 1, &err);
	}
	assert_int_equal(ret, 0);
	assert_int_equal(bench->budget.used[BUDGET_BOOKS],
			 5 * (4096 * 512 + 4096 / 8 * 65 * sizeof(uint64_t)) +
			 /* each page has a page table of its own; the tables are 64 pages apart in their set */
			 4096 * 2 * P + 64 * 512 + 65 * sizeof(uint64_t));
	assert_int_equal(budget_take(&bench->budget, BUDGET_BOOKS, 256 * MIB, &err), -1);
}

/* What is announced is announced for the whole tree: no process has a limit of its own. */
static void lists_share_a_limit(void **state)
{
	const struct splice_vm_run run = { .addr = BASE, .nr_pages = 12 * MIB / P };
	const struct splice_vm_run part = { .addr = BASE, .nr_pages = MIB / P };
	const struct mirror_range range = { BASE, BASE + 12 * MIB };
	struct bench *bench = *state;
	struct error err = { 0 };
	struct mm other;

	assert_int_equal(mm_init(&other, &no_mm_hooks, &err), 0);
	other.mirror.budget = &bench->budget;
	assert_int_equal(mm_announce(&other, &range, 1, &err), 0);
	assert_int_equal(mm_populate(&bench->mm, &run, 1, &err), 0);
	/* a page that is listed twice is one page */
	assert_int_equal(mm_populate(&bench->mm, &part, 1, &err), 0);
	assert_int_equal(bench->budget.listed, 12 * MIB);
	assert_int_equal(mm_populate(&other, &run, 1, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_non_null(strstr(err.what, "announced"));
	mm_destroy(&other);
}

/* Each list may be long, and there may be many. */
static void mappings_are_counted(void **state)
{
	struct mirror_range *ranges = calloc(65536, sizeof(*ranges));
	struct bench *bench = *state;
	struct error err = { 0 };

	for (size_t i = 0; i < 65536; i++)
		ranges[i] = (struct mirror_range){ LOW + 2 * i * P, LOW + (2 * i + 1) * P };
	assert_int_equal(mm_announce(&bench->mm, ranges, 65536, &err), 0);
	assert_true(bench->budget.used[BUDGET_BOOKS] >= 65536 * sizeof(*ranges));
	assert_int_equal(mm_announce(&bench->mm, NULL, 0, &err), 0);
	assert_int_equal(bench->budget.used[BUDGET_BOOKS], 0);
	/* a list that cannot be paid is not taken */
	assert_int_equal(budget_take(&bench->budget, BUDGET_BOOKS, 175 * MIB, &err), 0);
	assert_int_equal(mm_announce(&bench->mm, ranges, 65536, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_int_equal(bench->budget.used[BUDGET_BOOKS], 175 * MIB);
	free(ranges);
}

static void pages_are_counted_once(void **state)
{
	const struct splice_vm_run run = { .addr = BASE, .nr_pages = 512 };
	struct bench *bench = *state;
	struct error err = { 0 };

	for (int i = 0; i < 100; i++)
		assert_int_equal(add(bench, &run, &err), 0);
	assert_int_equal(bench->budget.used[BUDGET_MIRROR], 512 * P);
	mm_drop(&bench->mm, &run, 1);
	assert_int_equal(bench->budget.used[BUDGET_MIRROR], 0);
}

static void pages_beyond_are_refused(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };
	uint64_t pages = 0;

	for (int ret = 0; !ret; pages += 512) {
		const struct splice_vm_run run = { .addr = BASE + pages * P, .nr_pages = 512 };

		ret = add(bench, &run, &err);
		assert_true(pages < 16384);
	}
	assert_int_equal(err.code, CODE_PEER);
}

/* Zeros that are asked for take no memory in the mirror, but they do in an image. */
static void fetched_zeros_are_counted(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };
	char buf[256 * P];
	uint64_t at = BASE;
	int ret = 0;

	while (!ret) {
		const struct splice_vm_run run = { .addr = at, .nr_pages = 256 };

		assert_true(at < BASE + 256 * MIB);
		/* as if the source had answered already */
		assert_int_equal(page_set_add(&bench->mm.mirror.have, at, run.nr_pages, &err), 0);
		ret = late_pages_fetch(&bench->mm, at, run.nr_pages, buf, &err);
		at += 256 * P;
	}
	assert_int_equal(err.code, CODE_PEER);
}

/* In an image it is once more: the mirror gives its memory back. */
static void a_fetched_page_leaves_the_mirror(void **state)
{
	struct bench *bench = *state;
	struct mm *mm = &bench->mm;
	char pages[4 * P], buf[2 * P];
	struct error err = { 0 };
	uint64_t before = bench->budget.used[BUDGET_MIRROR];

	for (int i = 0; i < 4; i++)
		memset(pages + i * P, 'a' + i, P);
	assert_int_equal(mirror_write(&mm->mirror, BASE, 4, pages, &err), 0);
	assert_int_equal(late_pages_fetch(mm, BASE + P, 2, buf, &err), 0);
	assert_memory_equal(buf, pages + P, sizeof(buf));
	assert_int_equal(mm->mirror.have.nr, 2);
	assert_true(page_set_has(&mm->mirror.have, BASE));
	assert_false(page_set_has(&mm->mirror.have, BASE + P));
	assert_int_equal(bench->budget.used[BUDGET_MIRROR] - before, 2 * P);
}

static void *fetch_body(void *arg)
{
	struct bench *bench = arg;
	struct error err = { 0 };
	char page[P];

	return late_pages_fetch(&bench->mm, BASE, 1, page, &err) ? "failed" : NULL;
}

/* Its cost depends on sets that other threads change: nothing is paid before the lock is there. */
static void a_fetch_is_paid_under_the_lock(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };
	uint64_t paid = 0;
	pthread_t thread;
	void *failed;

	assert_int_equal(page_set_add(&bench->mm.mirror.have, BASE, 1, &err), 0);
	mm_lock(&bench->mm);
	assert_int_equal(pthread_create(&thread, NULL, fetch_body, bench), 0);
	for (int i = 0; i < 50 && !paid; i++) {
		usleep(10000);
		pthread_mutex_lock(&bench->budget.lock);
		paid = bench->budget.used[BUDGET_IMAGES];
		pthread_mutex_unlock(&bench->budget.lock);
	}
	mm_unlock(&bench->mm);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	assert_int_equal(paid, 0);
	assert_int_equal(bench->budget.used[BUDGET_IMAGES], P);
}

static void digests_are_counted(void **state)
{
	struct bench *bench = *state;
	struct verify verify = { .budget = &bench->budget };
	Migrate__DigestRun run = MIGRATE__DIGEST_RUN__INIT, *runs[4096];
	Migrate__Digests digests = MIGRATE__DIGESTS__INIT;
	struct error err = { 0 };

	run.addr = BASE;
	run.nr_pages = 1;
	for (int i = 0; i < 4096; i++)
		runs[i] = &run;
	digests.runs = runs;
	digests.n_runs = 4096;
	bench->budget.listed = UINT64_MAX;
	for (int i = 0; !verify_add(&verify, &digests, &err); i++)
		assert_true(i < 4096);
	assert_int_equal(err.code, CODE_PEER);
	verify_free(&verify);
}

/* Digests come when nothing is refused for its size any more. */
static void no_more_digests_than_pages(void **state)
{
	struct bench *bench = *state;
	struct verify verify = { .budget = &bench->budget };
	Migrate__DigestRun run = MIGRATE__DIGEST_RUN__INIT, *runs[2] = { &run, &run };
	Migrate__Digests digests = MIGRATE__DIGESTS__INIT;
	struct error err = { 0 };

	assert_int_equal(budget_list(&bench->budget, 4 * P, &err), 0);
	budget_settle(&bench->budget);
	run.addr = BASE;
	run.nr_pages = 1;
	digests.runs = runs;
	digests.n_runs = 2;
	assert_int_equal(verify_add(&verify, &digests, &err), 0);
	assert_int_equal(verify_add(&verify, &digests, &err), 0);
	assert_int_equal(verify_add(&verify, &digests, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	verify_free(&verify);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_was_announced), cmocka_unit_test(one_total_for_all),
		cmocka_unit_test(images_are_written_anew), cmocka_unit_test(no_more_than_the_machine_has),
		 BENCH_TEST(a_long_list_is_refused),
		BENCH_TEST(much_reserved_little_used), BENCH_TEST(scattered_pages_are_counted),
		BENCH_TEST(lists_share_a_limit), BENCH_TEST(mappings_are_counted),
		BENCH_TEST(pages_are_counted_once), BENCH_TEST(pages_beyond_are_refused),
		BENCH_TEST(fetched_zeros_are_counted),
		BENCH_TEST(a_fetched_page_leaves_the_mirror), BENCH_TEST(a_fetch_is_paid_under_the_lock),
		BENCH_TEST(digests_are_counted), BENCH_TEST(no_more_digests_than_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
