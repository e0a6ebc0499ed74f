// SPDX-License-Identifier: GPL-2.0
/*
 * Direct I/O and its like write to memory by reference, and page tables do not tell
 * when. A page on which somebody holds a reference when an epoch begins may be written in it, so it
 * counts as dirty at its end, though the reference may be gone by then. Only pages
 * that the ended epoch reported can be so: to take a reference for writing the others
 * must be faulted in first, which marks them; and those that were held before the first epoch
 * are found by its snapshot, which looks at all. The look is after clear_refs has changed
 * all entries: a fast get_user_pages() that was under way has its reference by then or fails.
 */
#include <linux/mm.h>

#include "held.h"
#include "walk.h"

/**
 * splice_vm_held_report() - an epoch ends: what was held when it began is dirty
 * @sess: the session; the target's mmap lock is held for writing
 */
void splice_vm_held_report(struct splice_vm_session *sess)
{
	struct splice_vm_chunk chunk;
	unsigned long index = 0, next, gap_end;

	while (splice_vm_record_peek(&sess->held, index, &chunk)) {
		index = chunk.index + 1;
		splice_vm_record_take(&sess->held, chunk.index, &chunk);
		splice_vm_record_dirty(&sess->record, chunk.index, chunk.dirty,
				       chunk.dirty);
	}
	/* Without memory for chunks these were noted as ranges. */
	for (index = 0; splice_vm_record_next(&sess->held, index, &next, &gap_end);
	     index = gap_end) {
		splice_vm_record_log(&sess->record, next, gap_end);
		splice_vm_record_cut(&sess->held, next, gap_end);
	}
}

static void splice_vm_held_window(struct splice_vm_session *sess,
				  unsigned long index,
				  const struct splice_vm_window *win)
{
	DECLARE_BITMAP(held, SPLICE_VM_CHUNK_PAGES) = {};
	unsigned int first = splice_vm_chunk_bit(win->start);
	bool any = false;
	unsigned int i;

	for_each_set_bit(i, win->found, win->nr) {
		if (!(win->states[i] & SPLICE_VM_STATE_HELD))
			continue;
		any = true;
		__set_bit(first + i, held);
	}
	if (any)
		splice_vm_record_dirty(&sess->held, index, held, held);
}

static void splice_vm_held_chunk(struct splice_vm_session *sess,
				 struct mm_struct *mm,
				 const struct splice_vm_chunk *chunk)
{
	VMA_ITERATOR(vmi, mm, chunk->index << SPLICE_VM_CHUNK_SHIFT);
	unsigned long base = chunk->index << SPLICE_VM_CHUNK_SHIFT;
	unsigned long limit = base + SPLICE_VM_CHUNK_SIZE;
	struct splice_vm_window win = {
		.how = SPLICE_VM_WALK_HELD,
		.only = chunk->dirty,
	};
	struct vm_area_struct *vma;

	for_each_vma_range(vmi, vma, limit) {
		if (splice_vm_vma_is_io(vma) || is_vm_hugetlb_page(vma))
			continue;
		if (splice_vm_walk_window(vma, max(vma->vm_start, base),
					  min(vma->vm_end, limit), &win))
			splice_vm_held_window(sess, chunk->index, &win);
	}
}

/**
 * splice_vm_held_collect() - an epoch begins: who holds what
 * @sess: the session
 * @mm: its mm; mmap lock held for writing, all entries are clean
 */
void splice_vm_held_collect(struct splice_vm_session *sess,
			    struct mm_struct *mm)
{
	struct splice_vm_chunk chunk;
	unsigned long index = 0;

	while (splice_vm_record_peek(&sess->record, index, &chunk)) {
		if (!bitmap_empty(chunk.dirty, SPLICE_VM_CHUNK_PAGES))
			splice_vm_held_chunk(sess, mm, &chunk);
		index = chunk.index + 1;
		cond_resched();
	}
}
