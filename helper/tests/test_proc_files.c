// SPDX-License-Identifier: GPL-2.0
/* A list that lacks files because the reader lacks descriptors would be taken for the whole truth. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/inet_sockets.h"
#include "os/proc_files.h"
#include "tests/no_fds.h"

static void count_link(void *ctx, pid_t pid, int fd, const char *path)
{
	++*(size_t *)ctx;
}

static void count_pid(void *ctx, pid_t pid)
{
	++*(size_t *)ctx;
}

/* The flags of a regular file are in a file of its own. */
static void a_file_whose_flags_cannot_be_read(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct error err = { 0 };
	struct proc_files files;
	struct rlimit limit;
	int ret;

	assert_int_equal(proc_files_read(getpid(), &files, &err), 0);
	assert_true(files.nr);
	proc_files_free(&files);
	limit = no_fds_begin(1);
	ret = proc_files_read(getpid(), &files, &err);
	no_fds_end(&limit);
	close(fd);
	assert_int_equal(ret, -1);
	assert_int_equal(err.os_errno, EMFILE);
}

static void processes_that_cannot_be_listed(void **state)
{
	struct error err = { 0 };
	struct rlimit limit;
	size_t nr = 0;
	int ret;

	assert_int_equal(proc_each(count_pid, &nr, &err), 0);
	assert_true(nr);
	limit = no_fds_begin(0);
	ret = proc_each(count_pid, &nr, &err);
	no_fds_end(&limit);
	assert_int_equal(ret, -1);
	assert_int_equal(err.os_errno, EMFILE);
}

static void files_of_others_that_cannot_be_listed(void **state)
{
	struct error err = { 0 };
	struct rlimit limit;
	size_t nr = 0;
	int ret;

	assert_int_equal(proc_links(count_link, &nr, &err), 0);
	assert_true(nr);
	limit = no_fds_begin(1);
	ret = proc_links(count_link, &nr, &err);
	no_fds_end(&limit);
	assert_int_equal(ret, -1);
	assert_int_equal(err.os_errno, EMFILE);
}

static void sockets_that_cannot_be_listed(void **state)
{
	struct inet_sockets sockets;
	struct error err = { 0 };
	struct rlimit limit = no_fds_begin(0);
	int ret = inet_sockets_read(getpid(), &sockets, &err);

	no_fds_end(&limit);
	assert_int_equal(ret, -1);
	assert_int_equal(err.os_errno, EMFILE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_whose_flags_cannot_be_read),
		cmocka_unit_test(processes_that_cannot_be_listed),
		cmocka_unit_test(files_of_others_that_cannot_be_listed),
		cmocka_unit_test(sockets_that_cannot_be_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
