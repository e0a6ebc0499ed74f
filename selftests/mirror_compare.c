// SPDX-License-Identifier: GPL-2.0
/*
 * Compares with /proc/PID/mem, and takes the populated pages from pagemap: both are independent of
 * the module. The comparison leaves out shared mappings, to which the test writes itself, and file
 * pages that the task never wrote.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ksft.h"
#include "mirror_compare.h"
#include "sys.h"

#define COMPARE_VMAS	8192
#define COMPARE_SHOWN	5

struct compare_vma {
	__u64 start;
	__u64 end;
	bool skip;
};

struct compare_call {
	struct compare *c;
	struct mirror *m;
	int mem_fd;
	__u64 start;
	__u64 end;
	struct compare_vma vmas[COMPARE_VMAS];
	unsigned int nr_vmas;
};

static void compare_read_maps(struct compare_call *call, pid_t pid)
{
	char path[32], line[512], perms[8];
	struct compare_vma vma;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	ksft_must(maps);
	while (fgets(line, sizeof(line), maps)) {
		ksft_must(sscanf(line, "%llx-%llx %7s", &vma.start, &vma.end,
				 perms) == 3);
		vma.skip = perms[3] == 's' || strstr(line, "[v");
		ksft_must(call->nr_vmas < COMPARE_VMAS);
		call->vmas[call->nr_vmas++] = vma;
	}
	fclose(maps);
}

static void compare_show(const char *what, __u64 addr, unsigned long count)
{
	if (count <= COMPARE_SHOWN)
		ksft_print_msg("%s: %#llx\n", what, addr);
}

static void compare_page(struct compare_call *call, __u64 addr, __u64 entry)
{
	static const unsigned char zeros[PAGE_SIZE];
	struct mirror_page *page = mirror_find(call->m, addr);
	unsigned char data[PAGE_SIZE];

	call->c->pages++;
	call->c->swapped += !!(entry & PM_SWAP);
	ksft_must(pread(call->mem_fd, data, PAGE_SIZE, addr) ==
		  (ssize_t)PAGE_SIZE);
	if (page)
		page->seen = true;
	if (memcmp(data, page ? page->data : zeros, PAGE_SIZE))
		compare_show(page ? "stale" : "missing", addr,
			     ++call->c->stale);
}

static void compare_vma(struct compare_call *call, pid_t pid, __u64 start,
			__u64 end)
{
	static __u64 entries[512];
	unsigned long i, nr;

	for (; start < end; start += nr * PAGE_SIZE) {
		nr = (end - start) / PAGE_SIZE;
		if (nr > 512)
			nr = 512;
		sys_pagemap_read(pid, start, nr, entries);
		for (i = 0; i < nr; i++) {
			if ((entries[i] & (PM_PRESENT | PM_SWAP)) &&
			    !(entries[i] & PM_FILE))
				compare_page(call, start + i * PAGE_SIZE,
					     entries[i]);
		}
	}
}

static bool compare_skips(const struct compare_call *call, __u64 addr)
{
	unsigned int i;

	if (addr < call->start || addr >= call->end)
		return true;
	for (i = 0; i < call->nr_vmas; i++) {
		if (addr >= call->vmas[i].start && addr < call->vmas[i].end)
			return call->vmas[i].skip;
	}
	return false;
}

/* What is in the mirror only must be zeros, or what the file has. */
static void compare_leftover(struct mirror_page *page, void *ctx)
{
	struct compare_call *call = ctx;
	unsigned char data[PAGE_SIZE];

	if (page->seen || compare_skips(call, page->addr))
		return;
	if (pread(call->mem_fd, data, PAGE_SIZE, page->addr) !=
	    (ssize_t)PAGE_SIZE || memcmp(data, page->data, PAGE_SIZE))
		compare_show("not dropped", page->addr, ++call->c->undropped);
}

void compare_run(struct compare *c, pid_t pid, struct mirror *m, __u64 start,
		 __u64 end)
{
	static struct compare_call call;
	unsigned int i;

	*c = (struct compare){};
	call.c = c;
	call.m = m;
	call.start = start;
	call.end = end;
	call.nr_vmas = 0;
	call.mem_fd = sys_witness_open(pid);
	compare_read_maps(&call, pid);
	for (i = 0; i < call.nr_vmas; i++) {
		const struct compare_vma *vma = &call.vmas[i];

		if (!vma->skip && vma->start < end && vma->end > start)
			compare_vma(&call, pid,
				    vma->start > start ? vma->start : start,
				    vma->end < end ? vma->end : end);
	}
	mirror_for_each(m, compare_leftover, &call);
	sys_witness_close(pid, call.mem_fd);
}
