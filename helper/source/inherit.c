// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <unistd.h>
#include "os/pagemap.h"
#include "pages/sets.h"
#include "source/inherit.h"

#define STEP_PAGES	4096	/* entries of a page map at a time */

int inherit_init(struct inherit *inherit, uint32_t parent, struct error *err)
{
	memset(inherit, 0, sizeof(*inherit));
	if (!parent)
		return 0;
	inherit->parent = parent;
	if (page_set_init(&inherit->shared) || page_set_init(&inherit->later))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a page set");
	return 0;
}

void inherit_destroy(struct inherit *inherit)
{
	page_set_destroy(&inherit->shared);
	page_set_destroy(&inherit->later);
}

/** struct maps - page maps of a process and its parent, with room for a part of each */
struct maps {
	int fd, parent_fd;
	uint64_t own[STEP_PAGES], parents[STEP_PAGES];
};

/* Swap holds a page for both as memory does. The frame is 0 for who may not see it. */
static bool is_shared(uint64_t own, uint64_t parents)
{
	const uint64_t same = PM_FRAME | PM_PRESENT | PM_SWAPPED | PM_FILE;

	return (own & (PM_PRESENT | PM_SWAPPED)) && !(own & PM_FILE) && (own & PM_FRAME) &&
	       (own & same) == (parents & same);
}

static int add_shared(struct inherit *inherit, const struct maps *maps, const struct run *run,
		      struct error *err)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i <= run->nr_pages; i++) {
		if (i < run->nr_pages && is_shared(maps->own[i], maps->parents[i])) {
			nr++;
			continue;
		}
		if (nr && page_set_add(&inherit->shared, run->addr + (i - nr) * PAGE_BYTES, nr, err))
			return -1;
		nr = 0;
	}
	return 0;
}

/* What cannot be read is not shared: it goes as pages. */
static int look(struct inherit *inherit, struct maps *maps, const struct source_mm *mm,
		struct error *err)
{
	struct error ignored = { 0 };
	uint64_t addr = 0;
	struct run run;
	int ret = 0;

	while (!ret && page_set_next(&mm->dirty, addr, USER_END, STEP_PAGES, &run)) {
		addr = run_end(&run);
		if (pagemap_read(maps->fd, run.addr, run.nr_pages, maps->own, &ignored) ||
		    pagemap_read(maps->parent_fd, run.addr, run.nr_pages, maps->parents, &ignored))
			return 0;
		ret = add_shared(inherit, maps, &run, err);
	}
	return ret;
}

static bool is_gone(const struct source_mm *mm)
{
	return mm->backend->ops->is_gone(mm->backend);
}

int inherit_find(struct inherit *inherit, const struct source_mm *mm,
		 const struct source_mm *parent, struct error *err)
{
	struct error ignored = { 0 };
	struct maps maps = { .fd = -1, .parent_fd = -1 };
	int ret = 0;

	if (!inherit->parent)
		return 0;
	sets_clear(&inherit->shared);
	if (!parent)
		return 0;
	maps.fd = pagemap_open(mm->pid, &ignored);
	maps.parent_fd = pagemap_open(parent->pid, &ignored);
	if (maps.fd >= 0 && maps.parent_fd >= 0)
		ret = look(inherit, &maps, mm, err);
	/* the page maps may have been those of who has the pid now, or of a program that was executed */
	if (is_gone(mm) || is_gone(parent))
		sets_clear(&inherit->shared);
	if (maps.fd >= 0)
		close(maps.fd);
	if (maps.parent_fd >= 0)
		close(maps.parent_fd);
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
