// SPDX-License-Identifier: GPL-2.0
/* Pages become runs, and names backends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "backend/backend.h"
#include "backend/run_list.h"

#define PAGES	1200	/* more than a frame takes */

/** struct told - runs as they came */
struct told {
	struct splice_vm_run runs[PAGES];
	uint32_t nr;
};

static int take_told(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	struct told *told = ctx;

	assert_true(told->nr + nr <= PAGES);
	memcpy(&told->runs[told->nr], runs, nr * sizeof(*runs));
	told->nr += nr;
	return 0;
}

static void names_are_found(void **state)
{
	assert_int_equal(backend_kind_find("auto"), BACKEND_AUTO);
	assert_int_equal(backend_kind_find("module"), BACKEND_MODULE);
	assert_int_equal(backend_kind_find("vmread"), BACKEND_VMREAD);
	assert_int_equal(backend_kind_find("vm"), -1);
}

static void pages_become_runs(void **state)
{
	static struct told told;
	struct run_list list = { .fn = take_told, .ctx = &told };
	struct error err = { 0 };

	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(run_list_add(&list, i * PAGE_BYTES, 1,
					      i < 600 ? SPLICE_VM_RUN_DIRTY : SPLICE_VM_RUN_DROPPED,
					      &err), 0);
	assert_int_equal(run_list_flush(&list, &err), 0);
	assert_int_equal(told.nr, 2);
	assert_int_equal(told.runs[0].nr_pages, 600);
	assert_int_equal(told.runs[1].addr, 600 * PAGE_BYTES);
	/* a gap each */
	told.nr = 0;
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(run_list_add(&list, 2 * i * PAGE_BYTES, 1, 1, &err), 0);
	assert_int_equal(run_list_flush(&list, &err), 0);
	assert_int_equal(told.nr, PAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found),
		cmocka_unit_test(pages_become_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
