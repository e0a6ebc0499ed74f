// SPDX-License-Identifier: GPL-2.0
/* Guard pages of a process are found, in SETUP and at the freeze. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "backend/pagemap_scan.h"
#include "base/page.h"
#include "source/refuse.h"

#define GUARD_INSTALL	102
#define PAGES		64

static uint8_t *area;

/* A child with @nr guard pages. */
static pid_t fork_child(size_t nr)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (nr && madvise(area + 8 * PAGE_BYTES, nr * PAGE_BYTES, GUARD_INSTALL))
			_exit(1);
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void look(size_t nr, struct refusals *refusals, struct error *err)
{
	struct source_process process = { .pid = fork_child(nr) };
	struct inspection inspection = { .process = &process };
	struct error ignored = { 0 };
	struct vma_list vmas;

	assert_int_equal(maps_read(process.pid, false, &vmas, &ignored), 0);
	inspection.vmas = &vmas;
	refuse_guards(&inspection, refusals);
	refuse_new_guards(&inspection, &vmas, err);
	maps_free(&vmas);
	kill(process.pid, SIGKILL);
	waitpid(process.pid, NULL, 0);
}

static void guard_pages_are_refused(void **state)
{
	struct refusals refusals = { 0 };
	struct error err = { 0 };
	char addr[32];

	look(4, &refusals, &err);
	snprintf(addr, sizeof(addr), "0x%lx", (uintptr_t)area + 8 * PAGE_BYTES);
	assert_int_equal(refusals.nr, 1);
	assert_non_null(strstr(refusals.first.what, addr));
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, addr));
}

static void other_pages_are_not(void **state)
{
	struct refusals refusals = { 0 };
	struct error err = { 0 };

	look(0, &refusals, &err);
	assert_int_equal(refusals.nr, 0);
	assert_int_equal(err.code, CODE_OK);
}

/* Linux 6.16 and later tells of them. */
static bool kernel_tells(void)
{
	struct pagemap_scan scan = {
		.start = PAGE_BYTES, .end = 2 * PAGE_BYTES, .category_mask = PAGEMAP_SCAN_GUARD,
		.return_mask = PAGEMAP_SCAN_GUARD,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool tells = fd >= 0 && pagemap_scan(fd, &scan) >= 0;

	close(fd);
	return tells;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guard_pages_are_refused), cmocka_unit_test(other_pages_are_not),
	};

	if (!kernel_tells()) {
		print_message("this kernel tells of no guard pages\n");
		return 0;
	}
	/* above all that others have */
	area = mmap((void *)(SCAN_END - PAGES * PAGE_BYTES), PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	memset(area, 1, PAGES * PAGE_BYTES);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
