// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "os/pagemap.h"
#include "pages/sets.h"
#include "source/inherit.h"

#define STEP_PAGES	4096UL	/* entries of a page map at a time */
#define GAP_PAGES	32UL	/* entries that are read in vain rather than have another call of the kernel */

void inherit_destroy(struct inherit *inherit)
{
	page_set_destroy(&inherit->shared);
	page_set_destroy(&inherit->later);
}

/**
 * struct maps - page maps of a process and its parent, with room for a part of each
 * @again: the process's, read behind the parent's
 */
struct maps {
	struct backend *backend, *parents_backend;
	int fd, parent_fd;
	uint64_t own[STEP_PAGES], parents[STEP_PAGES], again[STEP_PAGES];
};

/* Return: false: nothing is known of the pages of @part */
static bool read_part(struct maps *maps, const struct run *part)
{
	const struct backend_ops *ops = maps->backend->ops;
	struct error ignored = { 0 };

	if (ops->frames) {
		if (!ops->frames(maps->backend, part->addr, part->nr_pages, maps->own) ||
		    !ops->frames(maps->parents_backend, part->addr, part->nr_pages, maps->parents))
			return false;
		memcpy(maps->again, maps->own, part->nr_pages * sizeof(*maps->own));
		return true;
	}
	return !pagemap_read(maps->fd, part->addr, part->nr_pages, maps->own, &ignored) &&
	       !pagemap_read(maps->parent_fd, part->addr, part->nr_pages, maps->parents, &ignored) &&
	       !pagemap_read(maps->fd, part->addr, part->nr_pages, maps->again, &ignored);
}

/* @first: the entry of the first page of @run in @maps */
static int add_shared(struct inherit *inherit, const struct maps *maps, const struct run *run,
		      uint64_t first, struct error *err)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i <= run->nr_pages; i++) {
		uint64_t at = first + i;

		if (i < run->nr_pages && pagemap_is_same(maps->own[at], maps->parents[at]) &&
		    pagemap_is_same(maps->own[at], maps->again[at])) {
			nr++;
			continue;
		}
		if (nr && page_set_add(&inherit->shared, run->addr + (i - nr) * PAGE_BYTES, nr, err))
			return -1;
		nr = 0;
	}
	return 0;
}

/* Dirty pages that one read of a page map covers: a short gap costs less than a call of the kernel. */
static bool next_part(const struct page_set *dirty, uint64_t at, struct run *part)
{
	uint64_t end, near;
	struct run run;

	if (!page_set_next(dirty, at, USER_END, STEP_PAGES, part))
		return false;
	end = part->addr + STEP_PAGES * PAGE_BYTES;
	for (at = run_end(part); at < end; at = run_end(&run)) {
		near = at + GAP_PAGES * PAGE_BYTES < end ? at + GAP_PAGES * PAGE_BYTES : end;
		if (!page_set_next(dirty, at, near, 0, &run))
			break;
		part->nr_pages = (run_end(&run) - part->addr) / PAGE_BYTES;
	}
	return true;
}

/* What cannot be read is not shared: it goes as pages. *@looked: at some dirty pages at least */
static int look(struct inherit *inherit, struct maps *maps, const struct page_set *dirty, bool *looked,
		struct error *err)
{
	struct run part, run;
	uint64_t addr = 0;

	while (next_part(dirty, addr, &part)) {
		if (!read_part(maps, &part))
			return 0;
		*looked = true;
		for (addr = part.addr; page_set_next(dirty, addr, run_end(&part), 0, &run);
		     addr = run_end(&run))
			if (add_shared(inherit, maps, &run, (run.addr - part.addr) / PAGE_BYTES, err))
				return -1;
		addr = run_end(&part);
	}
	return 0;
}

static bool is_gone(const struct source_mm *mm)
{
	return mm->backend->ops->is_gone(mm->backend);
}

static int find(struct inherit *inherit, const struct source_mm *mm, const struct source_mm *parent,
		bool *looked, struct error *err)
{
	bool records = mm->backend->ops->frames != NULL;
	struct maps *maps = malloc(sizeof(*maps));
	struct error ignored = { 0 };
	int ret;

	if (!maps)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a page map");
	maps->backend = mm->backend;
	maps->parents_backend = parent->backend;
	maps->fd = records ? -1 : pagemap_open(mm->pid, &ignored);
	maps->parent_fd = records ? -1 : pagemap_open(parent->pid, &ignored);
	ret = look(inherit, maps, &mm->dirty, looked, err);
	if (maps->fd >= 0)
		close(maps->fd);
	if (maps->parent_fd >= 0)
		close(maps->parent_fd);
	free(maps);
	return ret;
}

int inherit_find(struct inherit *inherit, const struct source_mm *mm,
		 const struct source_mm *parent, struct error *err)
{
	bool looked = false;
	int ret;

	if (!inherit->parent)
		return 0;
	sets_clear(&inherit->shared);
	if (!parent || inherit->apart || !mm->dirty.nr)
		return 0;
	ret = find(inherit, mm, parent, &looked, err);
	/* the page maps may have been those of a process that has the pid now, or of a program that was executed */
	if (is_gone(mm) || is_gone(parent)) {
		sets_clear(&inherit->shared);
		return ret;
	}
	inherit->found |= inherit->shared.nr > 0;
	inherit->apart = looked && !inherit->found;
	return ret;
}

/* Of @shared below @end: to @later what is dirty at the parent; away with what the parent lacks. */
static int narrow(struct inherit *inherit, const struct source_mm *parent, uint64_t addr,
		  uint64_t end, struct error *err)
{
	struct run run;
	uint64_t at;

	for (at = addr; sets_next_both(&inherit->shared, &parent->dirty, at, end, 0, &run);
	     at = run_end(&run)) {
		if (page_set_add(&inherit->later, run.addr, run.nr_pages, err))
			return -1;
		page_set_remove(&inherit->shared, run.addr, run.nr_pages);
	}
	for (at = addr; sets_next_only(&inherit->shared, &parent->dest_current, at, end, 0, &run);
	     at = run_end(&run))
		page_set_remove(&inherit->shared, run.addr, run.nr_pages);
	return 0;
}

/* The destination has forgotten what lies outside of the parent's mappings. */
int inherit_plan(struct inherit *inherit, const struct source_mm *parent, struct error *err)
{
	uint64_t at = 0;

	if (!inherit->parent)
		return 0;
	for (size_t i = 0; parent && i < parent->vmas.nr; i++) {
		const struct vma *vma = &parent->vmas.vmas[i];

		if (!vma_is_ours(vma))
			continue;
		page_set_remove(&inherit->shared, at, (vma->start - at) >> PAGE_SHIFT);
		if (narrow(inherit, parent, vma->start, vma->end, err))
			return -1;
		at = vma->end;
	}
	page_set_remove(&inherit->shared, at, (USER_END - at) >> PAGE_SHIFT);
	return 0;
}

static void take_out(struct page_set *from, const struct page_set *pages)
{
	uint64_t addr = 0;
	struct run run;

	for (; page_set_next(pages, addr, USER_END, 0, &run); addr = run_end(&run))
		page_set_remove(from, run.addr, run.nr_pages);
}

int inherit_send(const struct inherit *inherit, struct source_mm *mm, struct sender *sender,
		 struct error *err)
{
	if (!inherit->parent)
		return 0;
	take_out(&mm->dirty, &inherit->shared);
	take_out(&mm->dirty, &inherit->later);
	if (sender_set(sender, mm, FRAME_COPY, &inherit->shared, err))
		return -1;
	sender->inherited += inherit->shared.nr;
	return 0;
}

int inherit_end_round(struct inherit *inherit, struct source_mm *mm, struct error *err)
{
	if (!inherit->parent)
		return 0;
	sets_clear(&inherit->shared);
	if (sets_copy(&mm->dirty, &inherit->later, err))
		return -1;
	sets_clear(&inherit->later);
	return 0;
}
