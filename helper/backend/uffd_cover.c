// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping has at most one userfaultfd. Registering takes the task's mmap lock for writing, for
 * a moment; clearing takes the lock for reading, a GiB at a time; unregistering walks the entries
 * with the lock held for writing, so that is done in small steps.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stdlib.h>

#include "backend/uffd_cover.h"

#define LIST_STEP		1024
/* Bytes whose protection is cleared in one hold of the mmap lock for reading. */
#define CLEAR_STEP		(1ULL << 30)
/* The same for writing, when the tracker is given up and every fault waits. */
#define UNPROTECT_STEP		(32ULL << 20)
/* Most attempts on a mapping that changes all the time. */
#define TRIES			64

int uffd_cover_grow(struct uffd_cover *cover)
{
	size_t cap = cover->cap * 2 + LIST_STEP;
	struct splice_vm_run *mappings = realloc(cover->mappings, cap * sizeof(*mappings));

	if (!mappings)
		return -ENOMEM;
	cover->mappings = mappings;
	cover->cap = cap;
	return 0;
}

int uffd_cover_list(struct uffd_cover *cover, uint64_t start, uint64_t end)
{
	struct splice_vm_scan arg = {
		.size = sizeof(arg), .flags = SPLICE_VM_SCAN_MAPPINGS, .start = start, .end = end,
	};
	int ret = 0;

	cover->nr = 0;
	while (!ret && !arg.done) {
		if (cover->cap - cover->nr < LIST_STEP && uffd_cover_grow(cover))
			return -ENOMEM;
		arg.runs = (uintptr_t)(cover->mappings + cover->nr);
		arg.nr_runs = cover->cap - cover->nr;
		ret = uffd_ioctl(cover->session_fd, SPLICE_VM_SCAN, &arg);
		if (!ret)
			cover->nr += arg.nr_runs;
	}
	return ret;
}

/* Clear the first part of [*addr, end) that @uffd covers, or move *addr to the end. */
static int clear_step(const struct uffd_cover *cover, uint64_t *addr, uint64_t end)
{
	struct splice_vm_run run = { 0 };
	struct splice_vm_scan arg = {
		.size = sizeof(arg), .flags = SPLICE_VM_SCAN_MAPPINGS, .start = *addr, .end = end,
		.runs = (uintptr_t)&run, .nr_runs = 1,
	};
	struct uffdio_writeprotect clear = { 0 };
	uint64_t stop;
	int ret = uffd_ioctl(cover->session_fd, SPLICE_VM_SCAN, &arg);

	if (ret)
		return ret;
	if (!arg.nr_runs) {
		*addr = end;
		return 0;
	}
	if (run.flags != SPLICE_VM_RUN_COVERED) {
		*addr = uffd_run_end(&run);
		return 0;
	}
	/* stop at a multiple, so that no huge page is split */
	stop = (run.addr / CLEAR_STEP + 1) * CLEAR_STEP;
	if (stop > uffd_run_end(&run))
		stop = uffd_run_end(&run);
	clear.range.start = run.addr;
	clear.range.len = stop - run.addr;
	ret = uffd_ioctl(cover->uffd, UFFDIO_WRITEPROTECT, &clear);
	if (!ret)
		*addr = stop;
	return ret;
}

/*
 * A mapping that mremap merged with a moved one keeps the protected bits of its entries when it
 * loses its registration. Such an entry can be writable and still say that it is protected.
 */
static int clear_range(const struct uffd_cover *cover, uint64_t addr, uint64_t end)
{
	int tries = TRIES, ret = 0;

	/* UFFDIO_WRITEPROTECT fails when a part was unmapped meanwhile: go on with the rest */
	while (addr < end && tries) {
		ret = clear_step(cover, &addr, end);
		if (ret == -ESRCH)
			return ret;
		tries -= !!ret;
	}
	return addr < end ? -EAGAIN : 0;
}

static int register_range(const struct uffd_cover *cover, uint64_t start, uint64_t end)
{
	struct uffdio_register reg = {
		.range = { start, end - start }, .mode = UFFDIO_REGISTER_MODE_WP,
	};

	return uffd_ioctl(cover->uffd, UFFDIO_REGISTER, &reg);
}

/* SCAN TRACKED reports a mapping whole that cannot be registered; the next epoch tries again. */
static void register_runs(const struct uffd_cover *cover, struct splice_vm_run *run, size_t nr)
{
	bool all = !register_range(cover, run->addr, uffd_run_end(&run[nr - 1]));
	size_t i;

	for (i = 0; i < nr; i++) {
		if (all || (nr > 1 && !register_range(cover, run[i].addr, uffd_run_end(&run[i]))))
			run[i].flags = SPLICE_VM_RUN_COVERED;
		else
			run[i].flags = SPLICE_VM_RUN_OPAQUE;
	}
}

/* Return: number of adjacent new mappings from @first on */
static size_t new_side_by_side(const struct uffd_cover *cover, size_t first)
{
	size_t i = first + 1;

	while (i < cover->nr && cover->mappings[i].flags == SPLICE_VM_RUN_NEW &&
	       cover->mappings[i].addr == uffd_run_end(&cover->mappings[i - 1]))
		i++;
	return i - first;
}

void uffd_cover_put_off(struct uffd_cover *cover, uint64_t start, uint64_t end)
{
	/* the list has them cut at both ends: one that begins or ends there by itself waits too */
	for (size_t i = 0; i < cover->nr; i++) {
		struct splice_vm_run *run = &cover->mappings[i];

		if (run->flags == SPLICE_VM_RUN_NEW &&
		    (run->addr == start || uffd_run_end(run) == end))
			run->flags = SPLICE_VM_RUN_OPAQUE;
	}
}

int uffd_cover_new(struct uffd_cover *cover)
{
	size_t i, nr;
	int ret = 0;

	for (i = 0; !ret && i < cover->nr; i += nr) {
		nr = 1;
		if (cover->mappings[i].flags != SPLICE_VM_RUN_NEW)
			continue;
		nr = new_side_by_side(cover, i);
		register_runs(cover, &cover->mappings[i], nr);
		ret = clear_range(cover, cover->mappings[i].addr,
				  uffd_run_end(&cover->mappings[i + nr - 1]));
	}
	return ret;
}

/* Unregister in steps. A step ends at a multiple, so that no huge page is split. */
static int unregister_run(int uffd, const struct splice_vm_run *run)
{
	uint64_t addr = run->addr, end = uffd_run_end(run), stop;
	int ret = 0;

	for (; !ret && addr < end; addr = stop) {
		struct uffdio_range range = { .start = addr };

		stop = (addr / UNPROTECT_STEP + 1) * UNPROTECT_STEP;
		if (stop > end)
			stop = end;
		range.len = stop - addr;
		ret = uffd_ioctl(uffd, UFFDIO_UNREGISTER, &range);
	}
	return ret;
}

static void unprotect_mappings(const struct uffd_cover *cover)
{
	size_t i;

	for (i = 0; i < cover->nr; i++) {
		/* the next look finds a mapping that has changed meanwhile */
		if (cover->mappings[i].flags == SPLICE_VM_RUN_COVERED)
			unregister_run(cover->uffd, &cover->mappings[i]);
	}
}

static bool is_covering(const struct uffd_cover *cover)
{
	size_t i;

	for (i = 0; i < cover->nr; i++) {
		if (cover->mappings[i].flags == SPLICE_VM_RUN_COVERED)
			return true;
	}
	return false;
}

void uffd_cover_unprotect(int session_fd, int uffd)
{
	struct uffd_cover cover = { .session_fd = session_fd, .uffd = uffd };
	int tries = 3;

	while (tries-- && !uffd_cover_list(&cover, 0, UINT64_MAX) && is_covering(&cover))
		unprotect_mappings(&cover);
	free(cover.mappings);
}
