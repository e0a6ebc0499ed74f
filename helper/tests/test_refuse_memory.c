// SPDX-License-Identifier: GPL-2.0
/* Memory that a program has taken since SETUP, and that CRIU does not carry. */
#define _GNU_SOURCE
#include <linux/aio_abi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/refuse.h"

static int look(struct error *err)
{
	struct source_process process = { .pid = getpid() };
	const struct inspection inspection = { .process = &process };
	struct vma_list vmas;
	int ret;

	assert_int_equal(maps_read(process.pid, false, &vmas, err), 0);
	ret = refuse_new_memory(&inspection, &vmas, err);
	maps_free(&vmas);
	return ret;
}

/* The kernel would write into the memory of the program that stands, after it was sent. */
static void asynchronous_io_is_refused(void **state)
{
	aio_context_t context = 0;
	struct error err = { 0 };

	assert_int_equal(look(&err), 0);
	assert_int_equal(syscall(SYS_io_setup, 1, &context), 0);
	assert_int_equal(look(&err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, "io_setup"));
	syscall(SYS_io_destroy, context);
	memset(&err, 0, sizeof(err));
	assert_int_equal(look(&err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asynchronous_io_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
