// SPDX-License-Identifier: GPL-2.0
/*
 * The control of the oracle, without the module: reads soft-dirty bits from pagemap and then
 * clears them through clear_refs, so that a page written in between is lost. When this control
 * loses no page, the load is wrong, and the test of the module proves nothing.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "ksft.h"
#include "mirror_compare.h"
#include "mirror_two_step.h"
#include "sys.h"

/* At least so many, however long they take. */
#define TWO_STEP_ROUNDS	10

struct two_step {
	struct mirror m;
	__u64 *entries;
	unsigned long nr;
	pid_t pid;
	int mem_fd;
	int refs_fd;
};

static void two_step_round(struct two_step *ts)
{
	unsigned long i;

	sys_pagemap_read(ts->pid, LOAD_BASE, ts->nr, ts->entries);
	ksft_must(write(ts->refs_fd, "4", 1) == 1);
	for (i = 0; i < ts->nr; i++) {
		__u64 addr = LOAD_BASE + i * PAGE_SIZE;

		if (ts->entries[i] & PM_SOFT_DIRTY)
			ksft_must(pread(ts->mem_fd,
					mirror_put(&ts->m, addr)->data,
					PAGE_SIZE, addr) == (ssize_t)PAGE_SIZE);
	}
}

unsigned long two_step_run(const struct load_config *config,
			   unsigned int seconds)
{
	__u64 end = sys_now_ns() + seconds * 1000000000ULL;
	unsigned long bytes = load_steady_bytes(config), rounds = 0;
	struct two_step ts = { .nr = bytes / PAGE_SIZE };
	struct target t;
	struct compare c;

	target_start(&t);
	load_start(&t, config);
	mirror_init(&ts.m);
	ts.entries = calloc(ts.nr, sizeof(*ts.entries));
	ts.pid = t.pid;
	ts.mem_fd = sys_proc_open(t.pid, "mem", O_RDONLY);
	ts.refs_fd = sys_proc_open(t.pid, "clear_refs", O_WRONLY);
	ksft_must(ts.entries && ts.mem_fd >= 0 && ts.refs_fd >= 0);
	for (; sys_now_ns() < end || rounds < TWO_STEP_ROUNDS; rounds++)
		two_step_round(&ts);
	target_freeze(&t);
	two_step_round(&ts);
	compare_run(&c, t.pid, &ts.m, LOAD_BASE, LOAD_BASE + bytes);
	ksft_print_msg("two steps: %lu rounds, %lu of %lu pages stale\n",
		       rounds, c.stale, c.pages);
	close(ts.mem_fd);
	close(ts.refs_fd);
	free(ts.entries);
	mirror_free(&ts.m);
	target_stop(&t);
	return c.stale;
}
