// SPDX-License-Identifier: GPL-2.0
/* One address space at the source: which pages are dirty, current at the destination, unsent. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/mm.h"
#include "tests/fake_backend.h"

#define OBJECT	1

struct bench {
	struct fake fake;
	struct source_mm mm;
	struct vma vmas[3];
	struct vma_list list;
	struct error err;
};

/* Two mappings whose pages are sent, with one between them whose pages are not. */
static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	bench->vmas[0] = (struct vma){ .start = AT(10), .end = AT(20), .prot = PROT_READ };
	bench->vmas[1] = (struct vma){ .start = AT(20), .end = AT(30), .prot = PROT_READ,
				       .shared = true };
	bench->vmas[2] = (struct vma){ .start = AT(30), .end = AT(40) };
	bench->list = (struct vma_list){ bench->vmas, 3 };
	fake_init(&bench->fake);
	*state = bench;
	source_mm_init(&bench->mm, OBJECT, getpid());
	bench->mm.backend = &bench->fake.backend;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	source_mm_destroy(&bench->mm);
	free(bench);
	return 0;
}

static void populate(struct bench *bench, uint64_t page, uint32_t nr, uint32_t flags)
{
	bench->fake.populated[bench->fake.nr_populated++] = run_of(page, nr, flags);
}

static void a_mapping_more_is_followed(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = &bench->mm;
	bool changed;
	void *at;

	assert_int_equal(source_mm_read_vmas(mm, &bench->err), 0);
	at = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(source_mm_follow_vmas(mm, &changed, &bench->err), 0);
	assert_true(changed);
	assert_non_null(maps_find(&mm->vmas, (uintptr_t)at));
	mprotect(at, PAGE_BYTES, PROT_NONE);
	assert_int_equal(source_mm_follow_vmas(mm, &changed, &bench->err), 0);
	assert_true(changed);
	assert_int_equal(maps_find(&mm->vmas, (uintptr_t)at)->prot, PROT_NONE);
	munmap(at, PAGE_BYTES);
}

static void pages_that_are_not_sent_are_not_dirty(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = &bench->mm;

	assert_int_equal(page_set_add(&mm->dirty, AT(0), 100, &bench->err), 0);
	source_mm_filter_dirty(mm, &bench->list);
	assert_int_equal(mm->dirty.nr, 20);
	assert_false(page_set_has(&mm->dirty, AT(9)));
	assert_true(page_set_has(&mm->dirty, AT(19)));
	assert_false(page_set_has(&mm->dirty, AT(20)));
	assert_true(page_set_has(&mm->dirty, AT(30)));
	source_mm_clear_dirty(mm);
	assert_int_equal(mm->dirty.nr, 0);
}

static void a_page_is_announced_once(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(page_set_add(&bench->mm.dest_current, AT(10), 5, &bench->err), 0);
	assert_int_equal(page_set_add(&bench->mm.dirty, AT(12), 6, &bench->err), 0);
	assert_int_equal(source_mm_pages_with(&bench->mm, &bench->mm.dirty), 8);
}

/* A file's own pages, and zeros, come to the destination by themselves. */
static void populated_when_it_stands(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = &bench->mm;

	populate(bench, 10, 4, 0);
	populate(bench, 14, 1, SPLICE_VM_RUN_FILE);
	populate(bench, 15, 1, SPLICE_VM_RUN_ZERO);
	populate(bench, 22, 1, 0);
	populate(bench, 31, 2, 0);
	assert_int_equal(source_mm_freeze(mm, &bench->list, &bench->err), 0);
	assert_int_equal(mm->populated.nr, 6);
	assert_false(page_set_has(&mm->populated, AT(22)));
	assert_true(page_set_has(&mm->populated, AT(32)));
}

/* The mapping that the program must not read is the last one. */
static void a_page_that_cannot_be_read_is_refused(void **state)
{
	struct bench *bench = *state;

	populate(bench, 10, 4, 0);
	populate(bench, 31, 2, 0);
	bench->fake.unreadable = 31;
	assert_int_equal(source_mm_freeze(&bench->mm, &bench->list, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
}

static void unsent_is_what_is_not_current(void **state)
{
	struct splice_vm_run runs[4];
	struct bench *bench = *state;
	struct source_mm *mm = &bench->mm;
	uint64_t at = 0, still;

	assert_int_equal(page_set_add(&mm->populated, AT(10), 10, &bench->err), 0);
	assert_int_equal(page_set_add(&mm->populated, AT(30), 5, &bench->err), 0);
	assert_int_equal(page_set_add(&mm->dest_current, AT(12), 3, &bench->err), 0);
	assert_int_equal(page_set_add(&mm->dest_current, AT(34), 6, &bench->err), 0);
	assert_int_equal(source_mm_find_unsent(mm, &bench->err), 0);
	assert_int_equal(mm->unsent.nr, 7 + 4);
	assert_int_equal(source_mm_take_unsent(mm, &at, runs, 2, 100, &still), 2);
	assert_int_equal(runs[0].addr, AT(10));
	assert_int_equal(runs[0].nr_pages, 2);
	assert_int_equal(runs[1].addr, AT(15));
	assert_int_equal(runs[1].nr_pages, 5);
	assert_int_equal(still, 4);
	/* no run is longer than was asked for */
	assert_int_equal(source_mm_take_unsent(mm, &at, runs, 4, 3, &still), 1);
	assert_int_equal(runs[0].nr_pages, 3);
	source_mm_claim(mm, &(struct splice_vm_run){ .addr = AT(33), .nr_pages = 1 }, 1);
	assert_int_equal(source_mm_take_unsent(mm, &at, runs, 4, 3, NULL), 0);
}

/* Images leave out what frames have carried, mapping by mapping. */
static void sent_is_what_is_populated_and_not_unsent(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = &bench->mm;
	struct page_set sent;

	page_set_init(&sent);
	assert_int_equal(page_set_add(&mm->populated, AT(10), 20, &bench->err), 0);
	assert_int_equal(page_set_add(&mm->unsent, AT(14), 2, &bench->err), 0);
	assert_int_equal(source_mm_add_sent(mm, AT(12), AT(18), &sent, &bench->err), 0);
	assert_int_equal(sent.nr, 4);
	assert_true(page_set_has(&sent, AT(13)));
	assert_false(page_set_has(&sent, AT(14)));
	assert_true(page_set_has(&sent, AT(16)));
	assert_int_equal(source_mm_add_sent(mm, AT(40), AT(50), &sent, &bench->err), 0);
	assert_int_equal(sent.nr, 4);
	page_set_destroy(&sent);
}

#define RACE_PAGES	20000

/* Requests: every third page. */
static void *claim_pages(void *arg)
{
	struct source_mm *mm = arg;

	for (uint64_t page = 0; page < RACE_PAGES; page += 3) {
		const struct splice_vm_run run = run_of(page, 1, 0);

		source_mm_claim(mm, &run, 1);
	}
	return NULL;
}

/* The push and the requests take pages out at the same time; each page is taken out once. */
static void requests_beside_the_push(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = &bench->mm;
	struct splice_vm_run runs[8];
	uint64_t at = 0, taken = 0, still = 1, before = RACE_PAGES;
	pthread_t thread;
	uint32_t nr;

	assert_int_equal(page_set_add(&mm->populated, AT(0), RACE_PAGES, &bench->err), 0);
	assert_int_equal(source_mm_find_unsent(mm, &bench->err), 0);
	pthread_create(&thread, NULL, claim_pages, mm);
	while ((nr = source_mm_take_unsent(mm, &at, runs, 8, 16, &still))) {
		for (uint32_t i = 0; i < nr; i++)
			taken += runs[i].nr_pages;
		assert_true(still <= before);
		before = still;
	}
	pthread_join(thread, NULL);
	assert_int_equal(mm->unsent.nr, 0);
	assert_true(taken <= RACE_PAGES);
	assert_true(taken >= RACE_PAGES - (RACE_PAGES + 2) / 3);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(a_mapping_more_is_followed),
		BENCH_TEST(pages_that_are_not_sent_are_not_dirty),
		BENCH_TEST(a_page_is_announced_once), BENCH_TEST(populated_when_it_stands),
		BENCH_TEST(a_page_that_cannot_be_read_is_refused),
		BENCH_TEST(unsent_is_what_is_not_current),
		BENCH_TEST(sent_is_what_is_populated_and_not_unsent),
		BENCH_TEST(requests_beside_the_push),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
