// SPDX-License-Identifier: GPL-2.0
/* What page maps say of this kernel is found out once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "os/pagemap.h"
#include "os/proc.h"
#include "tests/real_walks.h"

static int asked;

int __wrap_proc_open_clear_refs(pid_t pid, struct error *err)
{
	asked++;
	return __real_proc_open_clear_refs(pid, err);
}

static void the_kernel_is_asked_once(void **state)
{
	bool told = pagemap_tells_writes();

	for (int i = 0; i < 3; i++)
		assert_int_equal(pagemap_tells_writes(), told);
	assert_int_equal(asked, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_kernel_is_asked_once) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
