// SPDX-License-Identifier: GPL-2.0
/* Pages that have to come, and the requests for them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "dest/wanted.h"

#define BASE	0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)

static int set_up(void **state)
{
	static struct wanted wanted;

	memset(&wanted, 0, sizeof(wanted));
	*state = &wanted;
	return 0;
}

static int tear_down(void **state)
{
	wanted_destroy(*state);
	return 0;
}

static void add(struct wanted *wanted, uint64_t page, uint64_t nr_pages)
{
	struct error err = { 0 };

	assert_int_equal(wanted_add(wanted, AT(page), nr_pages, &err), 0);
}

static void request(struct wanted *wanted, uint64_t page, uint64_t nr_pages)
{
	struct error err = { 0 };

	assert_int_equal(wanted_request(wanted, AT(page), nr_pages, &err), 0);
}

/* A page is asked for once, and only if the page is wanted. */
static void asked_once(void **state)
{
	struct wanted *wanted = *state;
	struct run *requests;
	size_t nr;

	add(wanted, 10, 20);
	request(wanted, 0, 15);
	request(wanted, 12, 5);
	requests = wanted_requests(wanted, &nr);
	assert_int_equal(nr, 2);
	assert_int_equal(requests[0].addr, AT(10));
	assert_int_equal(requests[0].nr_pages, 5);
	assert_int_equal(requests[1].addr, AT(15));
	assert_int_equal(requests[1].nr_pages, 2);
	free(requests);
	requests = wanted_requests(wanted, &nr);
	assert_int_equal(nr, 0);
	assert_null(requests);
}

/* Many requests, none of which holds up a fault for long. */
static void requests_are_short(void **state)
{
	struct wanted *wanted = *state;
	struct run *requests;
	uint64_t pages = 0;
	size_t nr;

	add(wanted, 0, 100000);
	request(wanted, 0, 100000);
	requests = wanted_requests(wanted, &nr);
	for (size_t i = 0; i < nr; i++) {
		assert_in_range(requests[i].nr_pages, 1, 256);
		assert_int_equal(requests[i].addr, AT(pages));
		pages += requests[i].nr_pages;
	}
	assert_int_equal(pages, 100000);
	free(requests);
}

/* A page that came may be wanted once more, and is asked for then. */
static void removed_is_forgotten(void **state)
{
	struct wanted *wanted = *state;
	size_t nr;

	add(wanted, 0, 4);
	request(wanted, 0, 4);
	free(wanted_requests(wanted, &nr));
	wanted_remove(wanted, AT(1), 1);
	assert_int_equal(wanted->pages.nr, 3);
	add(wanted, 1, 1);
	request(wanted, 0, 4);
	free(wanted_requests(wanted, &nr));
	assert_int_equal(nr, 1);
	assert_int_equal(wanted_cost(wanted, AT(0), 4), 0);
	wanted_clear(wanted);
	request(wanted, 0, 4);
	free(wanted_requests(wanted, &nr));
	assert_int_equal(nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asked_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(requests_are_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(removed_is_forgotten, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
