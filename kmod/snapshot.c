// SPDX-License-Identifier: GPL-2.0
/*
 * The soft-dirty tracker. A write of "4" to clear_refs calls MMU notifiers with
 * MMU_NOTIFY_SOFT_DIRTY, under the mmap lock held for writing, after it cleared
 * VM_SOFTDIRTY and before it clears the bits in page tables and flushes TLBs (fs/proc/
 * task_mmu.c, clear_refs_write). So the callback copies the bits away: get and clear
 * are one step for the target, whoever writes clear_refs.
 */
#include <linux/hugetlb.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/slab.h>

#include "observe.h"
#include "snapshot.h"
#include "walk.h"

/*
 * Debuggers and /proc/PID/mem write by force (FOLL_FORCE) to private mappings that are not
 * writable. With VM_SOFTDIRTY such a write sets no bit (mm/gup.c, can_follow_write_pte()), and
 * clear_refs took that flag away before it called us. A mapping that has it is larger than before.
 */
static bool splice_vm_vma_is_forced(const struct vm_area_struct *vma,
				    const struct splice_vm_range *old)
{
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE | VM_WRITE)) !=
	    VM_MAYWRITE)
		return false;
	return !old || old->start > vma->vm_start || old->end < vma->vm_end;
}

/*
 * Remembers that @vma is there and logs what of it was not mapped in the last
 * epoch: a page table that mremap moves there brings no soft-dirty bits.
 * @old is the index of the first old range that can still matter.
 */
static void splice_vm_vmas_add(struct splice_vm_session *sess,
			       const struct vm_area_struct *vma,
			       unsigned int *old)
{
	struct splice_vm_vmas *last = &sess->vmas[0], *now = &sess->vmas[1];
	unsigned long start = vma->vm_start, end = vma->vm_end, from = start;

	if (now->nr < now->cap)
		now->ranges[now->nr++] = (struct splice_vm_range){ start, end };
	else
		now->valid = false;

	if (!last->valid) {
		splice_vm_record_log(&sess->record, start, end);
		return;
	}
	while (*old < last->nr && last->ranges[*old].end <= from)
		++*old;
	if (splice_vm_vma_is_forced(vma, *old < last->nr ?
				    &last->ranges[*old] : NULL)) {
		splice_vm_record_log(&sess->record, start, end);
		return;
	}
	while (from < end && *old < last->nr &&
	       last->ranges[*old].start < end) {
		splice_vm_record_log(&sess->record, from,
				     last->ranges[*old].start);
		from = last->ranges[*old].end;
		if (from < end)
			++*old;
	}
	splice_vm_record_log(&sess->record, from, end);
}

static void splice_vm_snapshot_window(struct splice_vm_session *sess,
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
			       SPLICE_VM_STATE_HELD)) ||
		    !splice_vm_state_has_content(vma, state))
			continue;
		any = true;
		__set_bit(first + i, dirty);
		if (!(state & SPLICE_VM_STATE_WRITTEN))
			__set_bit(first + i, held);
	}
	if (any)
		splice_vm_record_dirty(&sess->record,
				       win->start >> SPLICE_VM_CHUNK_SHIFT,
				       dirty, held);
}

static void splice_vm_snapshot_vma(struct splice_vm_session *sess,
				   struct vm_area_struct *vma)
{
	struct splice_vm_window win = { .how = SPLICE_VM_WALK_WRITTEN };
	unsigned long addr = vma->vm_start;

	/* Who holds what from before is not known yet: held.c follows it from here. */
	if (sess->fresh)
		win.how = SPLICE_VM_WALK_HELD;

	if (splice_vm_vma_is_io(vma))
		return;
	/* clear_refs passes hugetlb over, so nobody knows: all of it, each time. */
	if (is_vm_hugetlb_page(vma)) {
		splice_vm_record_log(&sess->record, vma->vm_start, vma->vm_end);
		return;
	}
	for (;;) {
		addr = splice_vm_walk_skip(vma->vm_mm, addr, vma->vm_end);
		if (addr >= vma->vm_end)
			break;
		if (splice_vm_walk_window(vma, addr, vma->vm_end, &win))
			splice_vm_snapshot_window(sess, vma, &win);
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
static void splice_vm_snapshot_lock(struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	lockdep_off();
	for_each_vma(vmi, vma)
		vma_start_write(vma);
	lockdep_on();
}

/**
 * splice_vm_snapshot_take() - clear_refs is being written: an epoch ends
 * @sess: the session
 * @mm: its mm; the mmap lock is held for writing, soft-dirty bits are not cleared yet
 */
void splice_vm_snapshot_take(struct splice_vm_session *sess,
			     struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct splice_vm_vmas *now = &sess->vmas[1];
	struct vm_area_struct *vma;
	u64 begun = ktime_get_ns();
	unsigned int old = 0;

	/* Not mmap_assert_write_locked(): with DEBUG_VM it wants a symbol that is not exported. */
	lockdep_assert_held_write(&mm->mmap_lock);
	now->nr = 0;
	now->valid = true;
	splice_vm_snapshot_lock(mm);
	splice_vm_record_log_unmapped(&sess->record);
	for_each_vma(vmi, vma) {
		splice_vm_vmas_add(sess, vma, &old);
		splice_vm_snapshot_vma(sess, vma);
	}
	/*
	 * After the walk: writeback does not wait for us, and what it notes before it takes the
	 * right to write away is not to be missed by both.
	 */
	splice_vm_record_move(&sess->record, &sess->pending);
	swap(sess->vmas[0], sess->vmas[1]);
	sess->fresh = false;
	atomic64_inc(&sess->epochs);
	wake_up_all(&sess->wait);
	splice_vm_observe_epoch(sess, begun);
}

/* In [addr, end), which lies in one mapping. */
static void splice_vm_exposed_range(struct splice_vm_session *sess,
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
		splice_vm_walk_exposed(range->mm, addr, end, grown, &win);
		if (!bitmap_empty(win.found, SPLICE_VM_CHUNK_PAGES)) {
			bitmap_shift_left(dirty, win.found,
					  splice_vm_chunk_bit(addr),
					  SPLICE_VM_CHUNK_PAGES);
			splice_vm_record_dirty(&sess->pending,
					       addr >> SPLICE_VM_CHUNK_SHIFT,
					       dirty, none);
		}
		addr += (unsigned long)win.nr << PAGE_SHIFT;
		if (mmu_notifier_range_blockable(range))
			cond_resched();
	}
}

/**
 * splice_vm_snapshot_exposed() - the right to write is being taken away
 * @sess: the session
 * @range: as the notifier was called
 *
 * An entry that is writable with the soft-dirty bit clear counts as written, since no fault
 * will tell (mprotect and migration make such ones). fork, mprotect, NUMA hints and
 * writeback take the right to write away, and with it what a snapshot would go by. It can be
 * used until then, so what is found here is for the end of the epoch.
 *
 * MMU_NOTIFY_PROTECTION_PAGE is about one mapping, and may come without the mmap lock (writeback:
 * page_vma_mkclean_one); MMU_NOTIFY_PROTECTION_VMA may span many and what lies between them,
 * with it (PAGEMAP_SCAN of all of a task). Tables outside of mappings are not for us to read.
 */
void splice_vm_snapshot_exposed(struct splice_vm_session *sess,
				const struct mmu_notifier_range *range)
{
	VMA_ITERATOR(vmi, range->mm, range->start);
	unsigned long start = range->start & PAGE_MASK;
	unsigned long end = PAGE_ALIGN(min(range->end, TASK_SIZE_MAX));
	struct vm_area_struct *vma;
	bool grown;

	if (range->event == MMU_NOTIFY_PROTECTION_PAGE) {
		splice_vm_exposed_range(sess, range, start, end, false);
		return;
	}
	lockdep_assert_held(&range->mm->mmap_lock);
	for_each_vma_range(vmi, vma, end) {
		if (splice_vm_vma_is_io(vma) || is_vm_hugetlb_page(vma))
			continue;
		/* With the mmap lock for reading (NUMA, userfaultfd) faults go on meanwhile. */
		grown = (vma->vm_flags & VM_SOFTDIRTY) &&
			(vma->vm_flags & VM_WRITE);
		splice_vm_exposed_range(sess, range, max(vma->vm_start, start),
					min(vma->vm_end, end), grown);
	}
}

static int splice_vm_vmas_grow(struct splice_vm_session *sess,
			       struct mm_struct *mm, unsigned int cap)
{
	struct splice_vm_range *fresh[2];
	int i;

	for (i = 0; i < 2; i++)
		fresh[i] = kvmalloc_array(cap, sizeof(*fresh[i]),
					  GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!fresh[0] || !fresh[1] || mmap_read_lock_killable(mm)) {
		kvfree(fresh[0]);
		kvfree(fresh[1]);
		return fresh[0] && fresh[1] ? -EINTR : -ENOMEM;
	}
	/* The snapshot swaps the two, so both are as long. */
	for (i = 0; i < 2; i++) {
		if (sess->vmas[i].nr)
			memcpy(fresh[i], sess->vmas[i].ranges,
			       sess->vmas[i].nr * sizeof(*fresh[i]));
		swap(fresh[i], sess->vmas[i].ranges);
		sess->vmas[i].cap = cap;
	}
	mmap_read_unlock(mm);
	kvfree(fresh[0]);
	kvfree(fresh[1]);
	return 0;
}

/**
 * splice_vm_snapshot_prepare() - have room for what is mapped at the next snapshot
 * @sess: the session, its lock is held
 * @mm: its mm; the caller holds a user of it
 *
 * Sleeps. Return: 0; -ENOMEM or -EINTR, after which everything counts as new
 */
int splice_vm_snapshot_prepare(struct splice_vm_session *sess,
			       struct mm_struct *mm)
{
	unsigned int count = READ_ONCE(mm->map_count);

	lockdep_assert_held(&sess->lock);
	if (sess->vmas[0].cap >= count + count / 8 + 16)
		return 0;
	return splice_vm_vmas_grow(sess, mm, count + count / 4 + 64);
}

/**
 * splice_vm_snapshot_begin() - all that is mapped now was never asked for
 * @sess: the session, its lock is held
 * @mm: its mm; the caller holds a user of it
 *
 * It is what the first epoch begins with. Return: 0 or -EINTR
 */
int splice_vm_snapshot_begin(struct splice_vm_session *sess,
			     struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct splice_vm_vmas *now = &sess->vmas[1];
	struct vm_area_struct *vma;
	unsigned int old = 0;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	sess->fresh = true;
	sess->vmas[0].valid = false;
	now->nr = 0;
	now->valid = true;
	for_each_vma(vmi, vma)
		splice_vm_vmas_add(sess, vma, &old);
	swap(sess->vmas[0], sess->vmas[1]);
	mmap_write_unlock(mm);
	return 0;
}

/* No callback may run any more. */
void splice_vm_snapshot_free(struct splice_vm_session *sess)
{
	kvfree(sess->vmas[0].ranges);
	kvfree(sess->vmas[1].ranges);
}
