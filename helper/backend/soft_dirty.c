// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backend/run_list.h"
#include "backend/soft_dirty.h"
#include "os/maps.h"
#include "os/pagemap.h"
#include "os/proc.h"
#include "pages/page_set.h"

#define CHUNK_PAGES	512UL
#define CHUNK_BYTES	(CHUNK_PAGES * PAGE_BYTES)
#define CONFIRM_PAGES	512UL
#define READ_PAGES	32768UL		/* entries of 128 MiB at a time */

/* The identity of a page: its frame or offset in swap, and which of the two. */
#define IDENTITY	(PM_FRAME | PM_SWAPPED | PM_PRESENT)
/* No page is this: it differs from what any look sees. */
#define FORGOTTEN	IDENTITY

/**
 * struct chunk - entries of 2 MiB of address space with at least one page
 * @entries: IDENTITY and PM_SOFT_DIRTY; 0: no private page
 */
struct chunk {
	uint64_t addr;
	uint64_t entries[CHUNK_PAGES];
};

/** struct snapshot - chunks in the order of their addresses */
struct snapshot {
	struct chunk **chunks;
	size_t nr, cap;
};

/**
 * struct soft_dirty - a tracker
 * @last: the address space at the look that was compared last
 * @next: at the look that is to be compared next
 * @looked: there is such a look, or it failed: @why
 * @was_last: the look was the last one
 * @told: the scan before told a look, which is @last
 * @buf: room for READ_PAGES entries
 */
struct soft_dirty {
	pid_t pid;
	int pagemap_fd, clear_fd;
	struct snapshot last, next;
	bool looked, was_last, told;
	struct error why;
	uint64_t *buf;
};

static const struct chunk empty;

static void snapshot_free(struct snapshot *snap)
{
	for (size_t i = 0; i < snap->nr; i++)
		free(snap->chunks[i]);
	free(snap->chunks);
	memset(snap, 0, sizeof(*snap));
}

/* Addresses come in ascending order, so the chunk is the last one or a new one. */
static struct chunk *snapshot_chunk(struct snapshot *snap, uint64_t addr)
{
	uint64_t base = addr / CHUNK_BYTES * CHUNK_BYTES;
	struct chunk *chunk;

	if (snap->nr && snap->chunks[snap->nr - 1]->addr == base)
		return snap->chunks[snap->nr - 1];
	if (snap->nr == snap->cap) {
		size_t cap = snap->cap ? 2 * snap->cap : 64;
		struct chunk **chunks = realloc(snap->chunks, cap * sizeof(*chunks));

		if (!chunks)
			return NULL;
		snap->chunks = chunks;
		snap->cap = cap;
	}
	chunk = calloc(1, sizeof(*chunk));
	if (!chunk)
		return NULL;
	chunk->addr = base;
	snap->chunks[snap->nr++] = chunk;
	return chunk;
}

/* Return: the entry of a private page; 0 for a page of a file, which the file has */
static uint64_t own_entry(uint64_t entry)
{
	if (!(entry & (PM_PRESENT | PM_SWAPPED)) || entry & PM_FILE)
		return 0;
	return entry & (IDENTITY | PM_SOFT_DIRTY);
}

static int take_entries(struct soft_dirty *tracker, struct snapshot *snap, uint64_t addr,
			size_t nr, struct error *err)
{
	for (size_t i = 0; i < nr; i++, addr += PAGE_BYTES) {
		uint64_t entry = own_entry(tracker->buf[i]);
		struct chunk *chunk;

		if (!entry)
			continue;
		chunk = snapshot_chunk(snap, addr);
		if (!chunk)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for a pagemap");
		chunk->entries[addr % CHUNK_BYTES / PAGE_BYTES] = entry;
	}
	return 0;
}

static int take_vma(struct soft_dirty *tracker, struct snapshot *snap, const struct vma *vma,
		    struct error *err)
{
	for (uint64_t addr = vma->start; addr < vma->end;) {
		uint64_t nr = (vma->end - addr) / PAGE_BYTES;

		if (nr > READ_PAGES)
			nr = READ_PAGES;
		if (pagemap_read(tracker->pagemap_fd, addr, nr, tracker->buf, err) ||
		    take_entries(tracker, snap, addr, nr, err))
			return -1;
		addr += nr * PAGE_BYTES;
	}
	return 0;
}

/* Reads maps without flags: smaps would take longer than all other steps. */
static int snapshot_take(struct soft_dirty *tracker, struct snapshot *snap, struct error *err)
{
	struct vma_list vmas;
	int ret = 0;

	if (maps_read(tracker->pid, false, &vmas, err))
		return -1;
	for (size_t i = 0; i < vmas.nr && !ret; i++)
		if (vma_is_ours(&vmas.vmas[i]))
			ret = take_vma(tracker, snap, &vmas.vmas[i], err);
	maps_free(&vmas);
	return ret;
}

void soft_dirty_look(struct soft_dirty *tracker, bool last)
{
	if (tracker->looked) {
		error_set(&tracker->why, CODE_INTERNAL, NULL,
			  "written pages of process %d were looked for, and not told", tracker->pid);
		return;
	}
	tracker->looked = true;
	tracker->was_last = last;
	if (!snapshot_take(tracker, &tracker->next, &tracker->why) && !last)
		proc_clear_refs(tracker->clear_fd, &tracker->why);
}

static uint32_t judge(uint64_t was, uint64_t is)
{
	if (!is)
		return was ? SPLICE_VM_RUN_DROPPED : 0;
	return is & PM_SOFT_DIRTY || (is ^ was) & IDENTITY ? SPLICE_VM_RUN_DIRTY : 0;
}

static int compare_chunks(const struct chunk *was, const struct chunk *is, uint64_t addr,
			  struct run_list *list, struct error *err)
{
	for (size_t i = 0; i < CHUNK_PAGES; i++) {
		uint32_t flags = judge(was->entries[i], is->entries[i]);

		if (flags && run_list_add(list, addr + i * PAGE_BYTES, 1, flags, err))
			return -1;
	}
	return 0;
}

static int compare(const struct snapshot *was, const struct snapshot *is, struct run_list *list,
		   struct error *err)
{
	size_t i = 0, j = 0;

	while (i < was->nr || j < is->nr) {
		uint64_t old = i < was->nr ? was->chunks[i]->addr : UINT64_MAX;
		uint64_t new = j < is->nr ? is->chunks[j]->addr : UINT64_MAX;
		uint64_t addr = old < new ? old : new;

		if (compare_chunks(old == addr ? was->chunks[i++] : &empty,
				   new == addr ? is->chunks[j++] : &empty, addr, list, err))
			return -1;
	}
	return run_list_flush(list, err);
}

int soft_dirty_scan(struct soft_dirty *tracker, backend_runs_fn fn, void *ctx, struct error *err)
{
	struct run_list *list;
	int ret;

	tracker->told = false;
	if (!tracker->looked)
		return 0;
	if (error_is_set(&tracker->why)) {
		*err = tracker->why;
		return -1;
	}
	list = malloc(sizeof(*list));
	if (!list)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a scan");
	list->nr = 0;
	list->fn = fn;
	list->ctx = ctx;
	ret = compare(&tracker->last, &tracker->next, list, err);
	free(list);
	snapshot_free(&tracker->last);
	tracker->last = tracker->next;
	tracker->next = (struct snapshot){ 0 };
	tracker->looked = false;
	tracker->told = !ret;
	return ret;
}

/* Return: the chunk at @base, or an empty one */
static const struct chunk *snapshot_find(const struct snapshot *snap, uint64_t base)
{
	size_t low = 0, high = snap->nr;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (snap->chunks[mid]->addr < base)
			low = mid + 1;
		else
			high = mid;
	}
	return low < snap->nr && snap->chunks[low]->addr == base ? snap->chunks[low] : &empty;
}

static uint64_t *find_entry(struct snapshot *snap, uint64_t addr)
{
	struct chunk *chunk = (struct chunk *)snapshot_find(snap, addr / CHUNK_BYTES * CHUNK_BYTES);

	return chunk == &empty ? NULL : &chunk->entries[addr % CHUNK_BYTES / PAGE_BYTES];
}

void soft_dirty_confirm(struct soft_dirty *tracker, uint64_t addr, size_t nr)
{
	struct error gone = { 0 };
	uint64_t now[CONFIRM_PAGES];

	/* after the last look nothing changes, and other threads read too */
	if (tracker->was_last)
		return;
	while (nr) {
		size_t part = nr < CONFIRM_PAGES ? nr : CONFIRM_PAGES;

		/* of a process that has ended or called exec nothing is left that could be compared */
		if (pagemap_read(tracker->pagemap_fd, addr, part, now, &gone))
			memset(now, 0, sizeof(now));
		for (size_t i = 0; i < part; i++, addr += PAGE_BYTES) {
			uint64_t *was = find_entry(&tracker->last, addr);

			if (was && (own_entry(now[i]) ^ *was) & IDENTITY)
				*was = FORGOTTEN;
		}
		nr -= part;
	}
}

bool soft_dirty_frames(const struct soft_dirty *tracker, uint64_t addr, size_t nr, uint64_t *entries)
{
	if (!tracker->told)
		return false;
	while (nr) {
		const struct chunk *chunk = snapshot_find(&tracker->last, addr / CHUNK_BYTES * CHUNK_BYTES);
		size_t at = addr % CHUNK_BYTES / PAGE_BYTES;
		size_t part = nr < CHUNK_PAGES - at ? nr : CHUNK_PAGES - at;

		for (size_t i = 0; i < part; i++)
			entries[i] = chunk->entries[at + i] == FORGOTTEN ? 0 : chunk->entries[at + i];
		entries += part;
		addr += part * PAGE_BYTES;
		nr -= part;
	}
	return true;
}

struct soft_dirty *soft_dirty_open(pid_t pid, int pagemap_fd, struct error *err)
{
	struct soft_dirty *tracker = calloc(1, sizeof(*tracker));

	if (!tracker) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a tracker");
		return NULL;
	}
	tracker->pid = pid;
	tracker->pagemap_fd = pagemap_fd;
	tracker->buf = malloc(READ_PAGES * sizeof(*tracker->buf));
	tracker->clear_fd = proc_open_clear_refs(pid, err);
	if (tracker->clear_fd >= 0 && tracker->buf)
		return tracker;
	if (tracker->clear_fd >= 0)
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a tracker");
	soft_dirty_close(tracker);
	return NULL;
}

void soft_dirty_close(struct soft_dirty *tracker)
{
	if (!tracker)
		return;
	snapshot_free(&tracker->last);
	snapshot_free(&tracker->next);
	if (tracker->clear_fd >= 0)
		close(tracker->clear_fd);
	free(tracker->buf);
	free(tracker);
}
