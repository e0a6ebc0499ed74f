// SPDX-License-Identifier: GPL-2.0
/* The backend without the module: copies pages, and needs the program to stand for a moment in rounds. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
#include "backend/backend.h"
#include "backend/batch.h"
#include "backend/pagemap_scan.h"
#include "backend/run_list.h"
#include "backend/soft_dirty.h"
#include "base/io.h"
#include "os/pagemap.h"
#include "os/proc.h"
#include "pages/page_set.h"

#define READ_PAGES	4096UL	/* entries of pagemap at a time */
#define REGIONS		512

/**
 * struct vmread - a session
 * @mem_fd, @pagemap_fd: bound to the address space, not to the pid: reads fail after an exec
 * @zero_frame: see pagemap_zero_frame()
 * @scans: the kernel has PAGEMAP_SCAN
 * @tracker: NULL: the kernel has no soft-dirty bits, so writes cannot be tracked
 */
struct vmread {
	struct backend base;
	int mem_fd, pagemap_fd;
	uint64_t zero_frame;
	bool scans;
	struct soft_dirty *tracker;
};

static struct vmread *vmread_of(struct backend *backend)
{
	return (struct vmread *)backend;
}

/* The first look of the tracker reports every populated page, so there is no start. */
static int vmread_track(struct backend *backend, struct error *err)
{
	return 0;
}

static void vmread_look(struct backend *backend, bool last)
{
	soft_dirty_look(vmread_of(backend)->tracker, last);
}

static int vmread_scan(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err)
{
	return soft_dirty_scan(vmread_of(backend)->tracker, fn, ctx, err);
}

static bool vmread_frames(struct backend *backend, uint64_t addr, size_t nr, uint64_t *entries)
{
	const struct soft_dirty *tracker = vmread_of(backend)->tracker;

	return tracker && soft_dirty_frames(tracker, addr, nr, entries);
}

static uint32_t populated_flags(const struct vmread *vmread, uint64_t entry)
{
	uint32_t common = pagemap_may_be_common(entry) ? BACKEND_RUN_COMMON : 0, flags = 0;

	if (entry & PM_SWAPPED)
		return SPLICE_VM_RUN_SWAPPED | common;
	if (!(entry & PM_PRESENT))
		return 0;
	if (entry & PM_FILE)
		flags = SPLICE_VM_RUN_FILE;
	else if (vmread->zero_frame && (entry & PM_FRAME) == vmread->zero_frame)
		flags = SPLICE_VM_RUN_ZERO;
	return SPLICE_VM_RUN_PRESENT | flags | common;
}

static int populated_entries(const struct vmread *vmread, uint64_t start, uint64_t end,
			     struct run_list *list, struct error *err)
{
	uint64_t entries[READ_PAGES];

	for (uint64_t addr = start; addr < end;) {
		uint64_t nr = (end - addr) / PAGE_BYTES;

		if (nr > READ_PAGES)
			nr = READ_PAGES;
		if (pagemap_read(vmread->pagemap_fd, addr, nr, entries, err))
			return -1;
		for (uint64_t i = 0; i < nr; i++, addr += PAGE_BYTES) {
			uint32_t flags = populated_flags(vmread, entries[i]);

			if (flags && run_list_add(list, addr, 1, flags, err))
				return -1;
		}
	}
	return 0;
}

/* Skip holes: a reservation of 64 GiB has 128 MiB of pagemap entries. */
static int populated_regions(const struct vmread *vmread, uint64_t start, uint64_t end,
			     struct run_list *list, struct error *err)
{
	struct pagemap_region regions[REGIONS];
	struct pagemap_scan scan = {
		.start = start, .end = end, .vec = (uintptr_t)regions, .vec_len = REGIONS,
		.category_anyof_mask = PAGEMAP_SCAN_PRESENT | PAGEMAP_SCAN_SWAPPED,
		.return_mask = PAGEMAP_SCAN_PRESENT | PAGEMAP_SCAN_SWAPPED,
	};

	while (scan.start < end) {
		long nr = pagemap_scan(vmread->pagemap_fd, &scan);

		if (nr < 0) {
			errno = -nr;
			return error_errno(err, CODE_TARGET, NULL, "cannot scan a pagemap");
		}
		for (long i = 0; i < nr; i++)
			if (populated_entries(vmread, regions[i].start, regions[i].end, list, err))
				return -1;
		scan.start = scan.walk_end;
	}
	return 0;
}

static int vmread_populated(struct backend *backend, uint64_t start, uint64_t end,
			    backend_runs_fn fn, void *ctx, struct error *err)
{
	struct run_list list = { .fn = fn, .ctx = ctx };
	struct vmread *vmread = vmread_of(backend);
	int ret = vmread->scans ? populated_regions(vmread, start, end, &list, err) :
		  populated_entries(vmread, start, end, &list, err);

	return ret ? ret : run_list_flush(&list, err);
}

/* /proc/PID/mem is slower, but also reads pages that the program itself must not read. */
static int vmread_read(struct backend *backend, uint64_t addr, void *buf, size_t bytes,
		       size_t *done, struct error *err)
{
	struct vmread *vmread = vmread_of(backend);
	int ret = io_pread_all(vmread->mem_fd, buf, bytes, addr, done);

	if (ret && errno != EIO && errno != EFAULT)
		return error_errno(err, CODE_INTERNAL, NULL,
				   "cannot read the memory of process %d", backend->pid);
	if (!ret && *done < bytes)
		return error_set(err, CODE_TARGET, NULL, "process %d has exited or called exec",
				 backend->pid);
	return 0;
}

/* Memory that is no more reads as the end of a file, memory that is not mapped as an error. */
static bool vmread_is_gone(struct backend *backend)
{
	struct vmread *vmread = vmread_of(backend);
	char byte;

	return !pread(vmread->mem_fd, &byte, 1, 0);
}

/* Return: number of pages read, from the first on; 0: process_vm_readv() cannot read the first */
static uint32_t read_batch(struct backend *backend, const struct batch *batch, void *buf)
{
	struct iovec here = { buf, batch->nr_pages * PAGE_BYTES }, there[BATCH_RUNS];
	ssize_t n;

	for (uint32_t i = 0; i < batch->nr; i++)
		there[i] = (struct iovec){
			(void *)batch->runs[i].addr, batch->runs[i].nr_pages * PAGE_BYTES,
		};
	n = process_vm_readv(backend->pid, &here, 1, there, batch->nr, 0);
	/* the pid may be that of another program by now; this one's memory does not come back */
	return n > 0 && !vmread_is_gone(backend) ? n / PAGE_BYTES : 0;
}

/* Right behind the read, before anything waits for the network: the tracker learns which pages were away by then. */
static void confirm_batch(struct backend *backend, const struct batch *batch)
{
	struct soft_dirty *tracker = vmread_of(backend)->tracker;

	for (uint32_t i = 0; tracker && i < batch->nr; i++)
		soft_dirty_confirm(tracker, batch->runs[i].addr, batch->runs[i].nr_pages);
}

static int vmread_send(struct backend *backend, struct backend_send *send,
		       const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
		       void *ctx, struct error *err)
{
	const struct batch_way way = { .read = read_batch, .confirm = confirm_batch };

	return batch_send(backend, &way, send, runs, nr_runs, fn, ctx, err);
}

static uint64_t vmread_overflows(struct backend *backend)
{
	return 0;
}

static void vmread_close(struct backend *backend)
{
	struct vmread *vmread = vmread_of(backend);

	soft_dirty_close(vmread->tracker);
	if (vmread->pagemap_fd >= 0)
		close(vmread->pagemap_fd);
	if (vmread->mem_fd >= 0)
		close(vmread->mem_fd);
	if (backend->gone_fd >= 0)
		close(backend->gone_fd);
	free(vmread);
}

static const struct backend_ops vmread_ops = {
	.name = "vmread",
	.track = vmread_track,
	.look = vmread_look,
	.scan = vmread_scan,
	.frames = vmread_frames,
	.populated = vmread_populated,
	.send = vmread_send,
	.read = vmread_read,
	.is_gone = vmread_is_gone, .overflows = vmread_overflows,
	.close = vmread_close,
};

static int open_mem(struct vmread *vmread, struct error *err)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", vmread->base.pid);
	vmread->mem_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (vmread->mem_fd >= 0)
		return 0;
	return error_errno(err, proc_is_gone(errno) ? CODE_TARGET : CODE_NOT_READY,
			   errno == EACCES ? "run as root" : NULL, "cannot open %s", path);
}

static int open_tracker(struct vmread *vmread, const struct backend_hold *hold,
			struct error *err)
{
	struct backend *base = &vmread->base;
	const char *why = NULL;

	if (!pagemap_tells_writes())
		why = "this kernel does not tell written pages (CONFIG_MEM_SOFT_DIRTY)";
	else if (!hold)
		why = "no control group can freeze the program for a moment";
	else if (!vmread->zero_frame)
		why = "this user sees no page frames (CAP_SYS_ADMIN)";
	base->tracker = "none";
	if (why) {
		snprintf(base->why, sizeof(base->why), "%s", why);
		return 0;
	}
	vmread->tracker = soft_dirty_open(base->pid, vmread->pagemap_fd, err);
	base->tracks = vmread->tracker;
	base->tracker = "soft-dirty";
	return vmread->tracker ? 0 : -1;
}

struct backend *vmread_open(pid_t pid, const struct backend_hold *hold, struct error *err)
{
	struct vmread *vmread = calloc(1, sizeof(*vmread));

	if (!vmread) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a backend");
		return NULL;
	}
	vmread->base = (struct backend){ .ops = &vmread_ops, .pid = pid, .gone_events = POLLIN, .tells_common = true };
	vmread->mem_fd = vmread->pagemap_fd = -1;
	vmread->zero_frame = pagemap_zero_frame();
	vmread->scans = pagemap_scan_is_supported();
	vmread->base.gone_fd = proc_pidfd(pid, err);
	if (vmread->base.gone_fd >= 0 && !open_mem(vmread, err)) {
		vmread->pagemap_fd = pagemap_open(pid, err);
		if (vmread->pagemap_fd >= 0 && !open_tracker(vmread, hold, err))
			return &vmread->base;
	}
	vmread_close(&vmread->base);
	return NULL;
}
