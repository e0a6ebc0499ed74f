// SPDX-License-Identifier: GPL-2.0
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
#include "os/cgroup_mounts.h"

/* The kernel writes blanks, tabs, newlines and backslashes as an octal number. */
static const char mounts[] =
	"21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"30 21 0:26 / /sys/fs/cgroup\\040of\\134mine rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
	"31 21 0:26 /a\\040b/c /mnt/x\\011y\\012z rw - cgroup2 none rw,nsdelegate\n"
	"32 21 0:27 / /mnt/cgroup2 rw - tmpfs cgroup2 rw\n"
	"33 21 0:28 / /cg/cpu\\040time rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
	"34 21 0:29 / /cg/freezer rw shared:10 - cgroup my\\040source rw,freezer\n"
	"35 21 0:30 / /cg/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd\n";

static char name[] = "/tmp/test-mountinfo-XXXXXX";

static int write_mounts(void **state)
{
	int fd = mkstemp(name);
	bool ok = fd >= 0 && write(fd, mounts, sizeof(mounts) - 1) == sizeof(mounts) - 1;

	close(fd);
	return ok ? 0 : -1;
}

static int remove_mounts(void **state)
{
	return unlink(name);
}

/** struct seen - text of the mounts that are seen; @most: the walk ends after so many */
struct seen {
	char text[256];
	int nr, most;
};

static bool see(void *ctx, const char *point, const char *root)
{
	struct seen *seen = ctx;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof(seen->text) - len, "[%s|%s]", point, root);
	return ++seen->nr == seen->most;
}

static void check(const char *controllers, const char *wanted)
{
	struct seen seen = { 0 };

	assert_false(cgroup_mounts_walk(name, controllers, see, &seen));
	assert_string_equal(seen.text, wanted);
}

static void test_names_are_decoded(void **state)
{
	check("", "[/sys/fs/cgroup of\\mine|/][/mnt/x\ty\nz|/a b/c]");
	check("cpu,cpuacct", "[/cg/cpu time|/]");
	check("freezer", "[/cg/freezer|/]");
	check("name=systemd", "[/cg/systemd|/]");
}

static void test_whole_words(void **state)
{
	check("cpuacct", "[/cg/cpu time|/]");
	check("acct", "");
	check("freeze", "");
	check("memory", "");
}

static void test_ends_early(void **state)
{
	struct seen seen = { .most = 1 };

	assert_true(cgroup_mounts_walk(name, "", see, &seen));
	assert_int_equal(seen.nr, 1);
	assert_false(cgroup_mounts_walk("/nonexistent/mountinfo", "", see, &seen));
	assert_int_equal(seen.nr, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_decoded),
		cmocka_unit_test(test_whole_words),
		cmocka_unit_test(test_ends_early),
	};

	return cmocka_run_group_tests(tests, write_mounts, remove_mounts);
}
