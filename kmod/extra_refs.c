// SPDX-License-Identifier: GPL-2.0
/*
 * Direct I/O writes to a page by reference, and the page table does not change. So a page with
 * extra references at the start of an epoch counts as dirty at the end of that epoch, although
 * the references may be gone by then.
 *
 * This file looks at the pages that the ended epoch logged, and at no others. A device that takes
 * a reference in order to write faults the page in first, and the fault marks the page. A page
 * whose table mremap moved is logged. A page that had extra references before the first epoch is
 * found by the first snapshot, which looks at every page. The look comes after clear_refs, or the
 * caller's PAGEMAP_SCAN, has changed all entries: a fast get_user_pages() that was under way then
 * has its reference already, or fails.
 *
 * Reclaim and migration unmap a page before they notice its extra references, and no exported
 * function finds the page in the swap cache. So a dirty page that is found unmapped counts as
 * having extra references for one epoch. So does a page that had some and was unmapped in the
 * epoch that ends, and a page that is found migrating. I/O is missed when it outlasts two epochs
 * and its page stays unmapped (one epoch, where a SCAN came after the page was unmapped); when
 * its page was unmapped at TRACK; and when the page was logged as part of a range only, for want
 * of memory.
 */
#include <linux/mm.h>

#include "extra_refs.h"
#include "walk.h"

/* @chunk: what the dirty log has of the window's pages, or NULL. */
static bool splice_vm_extra_refs_counts(const struct splice_vm_chunk *chunk,
					unsigned int bit, u8 state)
{
	if (state & SPLICE_VM_STATE_EXTRA_REFS)
		return true;
	if (!(state & SPLICE_VM_STATE_SWAPPED) || !chunk ||
	    !test_bit(bit, chunk->dirty))
		return false;
	/*
	 * A migrating page comes back, with its extra references, before the epoch ends; and so
	 * may a page that had extra references and was unmapped only now.
	 */
	return (state & SPLICE_VM_STATE_MOVING) || !test_bit(bit, chunk->extra_refs) ||
	       test_bit(bit, chunk->recheck);
}

static void splice_vm_extra_refs_window(struct splice_vm_session *sess,
					const struct splice_vm_chunk *chunk,
					const struct splice_vm_window *win)
{
	DECLARE_BITMAP(held, SPLICE_VM_CHUNK_PAGES) = {};
	unsigned int first = splice_vm_chunk_bit(win->start);
	bool any = false;
	unsigned int i;

	for_each_set_bit(i, win->found, win->nr) {
		if (!splice_vm_extra_refs_counts(chunk, first + i, win->states[i]))
			continue;
		any = true;
		__set_bit(first + i, held);
	}
	if (any)
		splice_vm_dirty_log_add(&sess->pending,
					win->start >> SPLICE_VM_CHUNK_SHIFT,
					held, held);
}

/*
 * In [start, end); of one chunk when it is given. Return: where it stopped because no more of
 * @tables were left, or @end
 */
static unsigned long
splice_vm_extra_refs_range(struct splice_vm_session *sess, struct mm_struct *mm,
			   unsigned long start, unsigned long end,
			   const struct splice_vm_chunk *chunk,
			   struct splice_vm_window *win, unsigned int *tables)
{
	VMA_ITERATOR(vmi, mm, start);
	struct vm_area_struct *vma;

	for_each_vma_range(vmi, vma, end) {
		unsigned long addr = max(vma->vm_start, start);
		unsigned long limit = min(vma->vm_end, end);

		if (splice_vm_vma_is_io(vma) || is_vm_hugetlb_page(vma))
			continue;
		for (;;) {
			addr = splice_vm_walk_skip(mm, addr, limit);
			if (addr >= limit)
				break;
			if (!*tables)
				return addr;
			--*tables;
			if (splice_vm_walk_window(vma, addr, limit, win))
				splice_vm_extra_refs_window(sess, chunk, win);
			addr += (unsigned long)win->nr << PAGE_SHIFT;
			cond_resched();
		}
	}
	return end;
}

static void splice_vm_extra_refs_chunk(struct splice_vm_session *sess,
				       struct mm_struct *mm,
				       const struct splice_vm_chunk *chunk)
{
	unsigned long base = chunk->index << SPLICE_VM_CHUNK_SHIFT;
	DECLARE_BITMAP(only, SPLICE_VM_CHUNK_PAGES);
	struct splice_vm_window win = {
		.how = SPLICE_VM_WALK_EXTRA_REFS,
		.only = only,
	};
	unsigned int tables = UINT_MAX;

	bitmap_or(only, chunk->dirty, chunk->recheck, SPLICE_VM_CHUNK_PAGES);
	splice_vm_extra_refs_range(sess, mm, base, base + SPLICE_VM_CHUNK_SIZE,
				   chunk, &win, &tables);
}

/**
 * splice_vm_extra_refs_collect() - an epoch begins: which logged pages have extra references
 * @sess: the session
 * @mm: its mm; mmap lock held, the entries of these pages are clean
 * @addr: where to begin
 * @end: where to stop: pages logged beyond belong to an epoch that goes on
 * @tables: read so many page tables at the most, not 0; out: less those that were
 *
 * Return: where to go on; ULONG_MAX at the end
 */
unsigned long splice_vm_extra_refs_collect(struct splice_vm_session *sess,
					   struct mm_struct *mm, unsigned long addr,
					   unsigned long end, unsigned int *tables)
{
	struct splice_vm_window all = { .how = SPLICE_VM_WALK_EXTRA_REFS };
	struct splice_vm_chunk chunk;
	unsigned long next, gap_end;

	if (!splice_vm_dirty_log_next(&sess->dirty_log, addr, &next, &gap_end) ||
	    next >= end)
		return ULONG_MAX;
	if (gap_end > next)
		return splice_vm_extra_refs_range(sess, mm, next, min(gap_end, end),
						  NULL, &all, tables);
	if (!splice_vm_dirty_log_peek(&sess->dirty_log, next >> SPLICE_VM_CHUNK_SHIFT,
				      &chunk))
		return ULONG_MAX;
	splice_vm_extra_refs_chunk(sess, mm, &chunk);
	--*tables;
	return (chunk.index + 1) << SPLICE_VM_CHUNK_SHIFT;
}

/* In one go: the mmap lock is held for writing. */
void splice_vm_extra_refs_collect_all(struct splice_vm_session *sess,
				      struct mm_struct *mm)
{
	unsigned long addr = 0;

	while (addr != ULONG_MAX) {
		unsigned int tables = UINT_MAX;

		addr = splice_vm_extra_refs_collect(sess, mm, addr, TASK_SIZE_MAX,
						    &tables);
		cond_resched();
	}
}
