// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fault.h"
#include "ksft.h"
#include "sys.h"

#define DEBUGFS	"/sys/kernel/debug/"

static int fault_nth_fd, fault_task_fd;

static void fault_set(const char *file, const char *value)
{
	char path[96];
	int ret;

	snprintf(path, sizeof(path), DEBUGFS "%s", file);
	ret = sys_write_file(path, value);
	if (ret)
		ksft_exit_fail_msg("%s: %d: no debug kernel?\n", path, ret);
}

static unsigned int fault_times(const char *kind)
{
	char path[96];

	snprintf(path, sizeof(path), DEBUGFS "%s/times", kind);
	return sys_read_long(path);
}

/* The traces of injected faults would look like those of bugs. */
void fault_init(void)
{
	static const char * const kinds[] = {
		"failslab", "fail_page_alloc", "fail_usercopy"
	};
	char file[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(file, sizeof(file), "%s/verbose", kinds[i]);
		fault_set(file, "0");
		snprintf(file, sizeof(file), "%s/task-filter", kinds[i]);
		fault_set(file, "Y");
		snprintf(file, sizeof(file), "%s/probability", kinds[i]);
		fault_set(file, "0");
	}
	fault_set("failslab/ignore-gfp-wait", "N");
	fault_set("fail_page_alloc/ignore-gfp-wait", "N");
	fault_set("fail_page_alloc/ignore-gfp-highmem", "N");
	fault_set("fail_page_alloc/min-order", "0");
	fault_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ksft_must(fault_nth_fd >= 0);
	/* stays open: an open() later would take some of the injected faults */
	fault_task_fd = open("/proc/thread-self/make-it-fail",
			     O_RDWR | O_CLOEXEC);
	ksft_must(fault_task_fd >= 0);
}

static void fault_nth_arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	ksft_must(pwrite(fault_nth_fd, text, len, 0) == len);
}

/* Reading and writing the file can take the fault, like any system call. */
static bool fault_nth_disarm(void)
{
	char text[16] = "";
	bool taken = pread(fault_nth_fd, text, sizeof(text) - 1, 0) > 0 &&
		     text[0] == '0';
	int i;

	for (i = 0; pwrite(fault_nth_fd, "0", 1, 0) != 1; i++)
		ksft_must(i < 3);
	return taken;
}

const struct fault_way fault_nth = {
	"one fault", fault_nth_arm, fault_nth_disarm
};

static void fault_storm_arm(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	fault_set("failslab/times", text);
	fault_set("fail_page_alloc/times", text);
	fault_set("failslab/probability", "100");
	fault_set("fail_page_alloc/probability", "100");
	ksft_must(pwrite(fault_task_fd, "1", 1, 0) == 1);
}

static bool fault_storm_disarm(void)
{
	ksft_must(pwrite(fault_task_fd, "0", 1, 0) == 1);
	fault_set("failslab/probability", "0");
	fault_set("fail_page_alloc/probability", "0");
	return !fault_times("failslab") || !fault_times("fail_page_alloc");
}

const struct fault_way fault_storm = {
	"first faults", fault_storm_arm, fault_storm_disarm
};
