// SPDX-License-Identifier: GPL-2.0
/*
 * The soft-dirty tracker. A write of "4" to clear_refs calls MMU notifiers with
 * MMU_NOTIFY_SOFT_DIRTY, under the mmap lock held for writing, after clear_refs_write()
 * has cleared VM_SOFTDIRTY and before the function clears the bits in page tables and flushes
 * TLBs. So the callback copies the bits away: get and clear are one step for the target, no
 * matter which process writes clear_refs.
 */
#include <linux/hugetlb.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>

#include "extra_refs.h"
#include "stats.h"
#include "soft_dirty.h"
#include "walk.h"

static void splice_vm_soft_dirty_window(struct splice_vm_session *sess,
					struct vm_area_struct *vma,
					const struct splice_vm_window *win)
{
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(held, SPLICE_VM_CHUNK_PAGES) = {};
	unsigned int first = splice_vm_chunk_bit(win->start);
	bool any = false;
	unsigned int i;

	for_each_set_bit(i, win->found, win->nr) {
		u8 state = win->states[i];

		if (!(state & (SPLICE_VM_STATE_WRITTEN |
			       SPLICE_VM_STATE_EXTRA_REFS)) ||
		    !splice_vm_state_has_content(vma, state))
			continue;
		any = true;
		__set_bit(first + i, dirty);
		if (!(state & SPLICE_VM_STATE_WRITTEN))
			__set_bit(first + i, held);
	}
	if (any)
		splice_vm_dirty_log_add(&sess->dirty_log,
					win->start >> SPLICE_VM_CHUNK_SHIFT,
					dirty, held);
}

static void splice_vm_soft_dirty_vma(struct splice_vm_session *sess,
				     struct vm_area_struct *vma)
{
	struct splice_vm_window win = { .how = SPLICE_VM_WALK_WRITTEN };
	unsigned long addr = vma->vm_start;

	/* The first look at extra references is at every page; extra_refs.c follows from here. */
	if (sess->vma_snapshot.fresh)
		win.how = SPLICE_VM_WALK_EXTRA_REFS;

	if (splice_vm_vma_is_io(vma))
		return;
	/* clear_refs passes over hugetlb: log all of the mapping, each time. */
	if (is_vm_hugetlb_page(vma)) {
		splice_vm_dirty_log_recheck(&sess->dirty_log, vma->vm_start, vma->vm_end);
		return;
	}
	for (;;) {
		addr = splice_vm_walk_skip(vma->vm_mm, addr, vma->vm_end);
		if (addr >= vma->vm_end)
			break;
		if (splice_vm_walk_window(vma, addr, vma->vm_end, &win))
			splice_vm_soft_dirty_window(sess, vma, &win);
		addr += (unsigned long)win.nr << PAGE_SHIFT;
		cond_resched();
	}
}

/*
 * Faults that run under a VMA's own lock (6.4 on) do not wait for the mmap lock:
 * without vma_start_write() one could set a bit after we read it and before
 * clear_refs clears it. lockdep sees VMA lock -> reclaim -> notifier -> VMA lock; the
 * notifier that reclaim calls takes nothing that sleeps (see session.h), so that is false.
 */
static void splice_vm_soft_dirty_lock(struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	lockdep_off();
	for_each_vma(vmi, vma)
		vma_start_write(vma);
	lockdep_on();
}

/* clear_refs is being written, with the mmap lock for writing; bits are not cleared yet. */
static void splice_vm_soft_dirty_take(struct splice_vm_session *sess,
				      struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct splice_vm_vma_walk walk;
	struct vm_area_struct *vma;
	u64 begun = ktime_get_ns();

	/* Not mmap_assert_write_locked(): with DEBUG_VM it wants a symbol that is not exported. */
	lockdep_assert_held_write(&mm->mmap_lock);
	splice_vm_soft_dirty_lock(mm);
	splice_vm_vma_snapshot_begin(&sess->vma_snapshot, &walk);
	for_each_vma(vmi, vma) {
		splice_vm_vma_snapshot_add(&sess->vma_snapshot, vma, &walk);
		splice_vm_soft_dirty_vma(sess, vma);
	}
	splice_vm_vma_snapshot_end(&sess->vma_snapshot);
	splice_vm_dirty_log_recheck_unmapped(&sess->dirty_log);
	/*
	 * After the walk: writeback does not wait for the walk. The walk may come after writeback
	 * took the right to write away; then the note is here by now.
	 */
	splice_vm_dirty_log_move(&sess->dirty_log, &sess->pending, 0, TASK_SIZE_MAX);
	sess->vma_snapshot.fresh = false;
	atomic64_inc(&sess->epochs);
	wake_up_all(&sess->wait);
	splice_vm_stats_epoch(sess, begun);
}

/* In [addr, end), which lies in one mapping. */
static void splice_vm_soft_dirty_protected_range(struct splice_vm_session *sess,
						 const struct mmu_notifier_range *range,
						 unsigned long addr, unsigned long end,
						 bool grown)
{
	DECLARE_BITMAP(none, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES);
	struct splice_vm_window win;

	for (;;) {
		addr = splice_vm_walk_skip(range->mm, addr, end);
		if (addr >= end)
			break;
		splice_vm_walk_writable_clean(range->mm, addr, end, grown, &win);
		if (!bitmap_empty(win.found, SPLICE_VM_CHUNK_PAGES)) {
			bitmap_shift_left(dirty, win.found,
					  splice_vm_chunk_bit(addr),
					  SPLICE_VM_CHUNK_PAGES);
			splice_vm_dirty_log_add(&sess->pending,
						addr >> SPLICE_VM_CHUNK_SHIFT,
						dirty, none);
		}
		addr += (unsigned long)win.nr << PAGE_SHIFT;
		if (mmu_notifier_range_blockable(range))
			cond_resched();
	}
}

/*
 * The right to write is being taken away.
 *
 * An entry that is writable with the soft-dirty bit clear counts as written, since no fault
 * will tell (mprotect and migration make such entries). fork, mprotect, NUMA hints and writeback
 * take the right to write away, and the snapshot would find no trace of it. The task can use the
 * right until then, so a page that is found here counts at the end of the epoch.
 *
 * MMU_NOTIFY_PROTECTION_PAGE is about one mapping, and may come without the mmap lock (writeback:
 * page_vma_mkclean_one). MMU_NOTIFY_PROTECTION_VMA comes with the mmap lock, and may span many
 * mappings and the holes between (PAGEMAP_SCAN of a whole task). Page tables outside of mappings
 * must not be read.
 */
static void splice_vm_soft_dirty_protected(struct splice_vm_session *sess,
					   const struct mmu_notifier_range *range)
{
	VMA_ITERATOR(vmi, range->mm, range->start);
	unsigned long start = range->start & PAGE_MASK;
	unsigned long end = PAGE_ALIGN(min(range->end, TASK_SIZE_MAX));
	struct vm_area_struct *vma;
	unsigned long from, to;
	bool grown;

	if (range->event == MMU_NOTIFY_PROTECTION_PAGE) {
		splice_vm_soft_dirty_protected_range(sess, range, start, end, false);
		return;
	}
	lockdep_assert_held(&range->mm->mmap_lock);
	for_each_vma_range(vmi, vma, end) {
		if (splice_vm_vma_is_io(vma) || is_vm_hugetlb_page(vma))
			continue;
		from = max(vma->vm_start, start);
		to = min(vma->vm_end, end);
		/* With the mmap lock for reading (NUMA, userfaultfd) faults go on meanwhile. */
		grown = (vma->vm_flags & VM_SOFTDIRTY) &&
			(vma->vm_flags & VM_WRITE);
		/* A read of shared memory that is not mapped yet makes a writable entry then. */
		if (grown && (vma->vm_flags & VM_SHARED))
			splice_vm_dirty_log_recheck(&sess->pending, from, to);
		else
			splice_vm_soft_dirty_protected_range(sess, range, from, to, grown);
	}
}

/* The first epoch begins with all mappings of now: no SCAN has reported any page of them. */
static int splice_vm_soft_dirty_begin(struct splice_vm_session *sess,
				      struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct splice_vm_vma_walk walk;
	struct vm_area_struct *vma;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	sess->vma_snapshot.fresh = true;
	sess->vma_snapshot.vmas[0].valid = false;
	splice_vm_vma_snapshot_begin(&sess->vma_snapshot, &walk);
	for_each_vma(vmi, vma)
		splice_vm_vma_snapshot_add(&sess->vma_snapshot, vma, &walk);
	splice_vm_vma_snapshot_end(&sess->vma_snapshot);
	mmap_write_unlock(mm);
	return 0;
}

/* mremap may move a page table there before the epoch ends, which leaves no trace. */
static void splice_vm_soft_dirty_unmap(struct splice_vm_session *sess,
				       const struct mmu_notifier_range *range)
{
	splice_vm_dirty_log_unmap(&sess->dirty_log, range->start & PAGE_MASK,
				  PAGE_ALIGN(min(range->end, TASK_SIZE_MAX)));
}

static void splice_vm_soft_dirty_start(struct splice_vm_session *sess,
				       const struct mmu_notifier_range *range)
{
	switch (range->event) {
	case MMU_NOTIFY_UNMAP:
		splice_vm_soft_dirty_unmap(sess, range);
		break;
	case MMU_NOTIFY_SOFT_DIRTY:
		splice_vm_soft_dirty_take(sess, range->mm);
		break;
	case MMU_NOTIFY_PROTECTION_VMA:
	case MMU_NOTIFY_PROTECTION_PAGE:
		splice_vm_soft_dirty_protected(sess, range);
		break;
	default:
		break;
	}
}

static void splice_vm_soft_dirty_end(struct splice_vm_session *sess,
				     const struct mmu_notifier_range *range)
{
	if (range->event == MMU_NOTIFY_UNMAP)
		splice_vm_soft_dirty_unmap(sess, range);
	else if (range->event == MMU_NOTIFY_SOFT_DIRTY)
		splice_vm_extra_refs_collect_all(sess, range->mm);
}

const struct splice_vm_tracker splice_vm_tracker_soft_dirty = {
	.id = SPLICE_VM_TRACKER_SOFT_DIRTY,
	.begin = splice_vm_soft_dirty_begin,
	.range_start = splice_vm_soft_dirty_start,
	.range_end = splice_vm_soft_dirty_end,
};
