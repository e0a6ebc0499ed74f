// SPDX-License-Identifier: GPL-2.0
/*
 * The mappings at the end of an epoch. At the end of the next epoch, addresses that were not mapped
 * then are logged: mremap can move a whole page table there, whose entries have no soft-dirty
 * bits. Pages that a debugger may have written by force are logged, too.
 *
 * Debuggers and /proc/PID/mem write by force (FOLL_FORCE) to private mappings that are not
 * writable. In a mapping with VM_SOFTDIRTY such a write sets no bit (the kernel's GUP,
 * can_follow_write_pte()), and clear_refs clears VM_SOFTDIRTY before it calls our notifier. A
 * mapping gets the flag when it is made, or when it merges with one that has the flag. In both
 * cases something was mapped in this epoch, in the mapping or next to it; mprotect and munmap may
 * have cut that part off again.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "vma_snapshot.h"
#include "dirty_log.h"

/* Linux merges mappings that lie side by side and are of no file, or of the same file. */
static void splice_vm_vma_snapshot_group_begin(struct splice_vm_vma_walk *walk,
					       const struct vm_area_struct *vma)
{
	VMA_ITERATOR(vmi, vma->vm_mm, vma->vm_end);
	struct vm_area_struct *next;

	walk->group_start = vma->vm_start;
	walk->group_end = vma->vm_end;
	walk->group_old = walk->old;
	walk->group_known = false;
	for_each_vma(vmi, next) {
		if (next->vm_start != walk->group_end ||
		    next->vm_file != vma->vm_file)
			break;
		walk->group_end = next->vm_end;
	}
}

/* Is some part of the group new: mapped now and not in the last epoch, or unmapped in this one? */
static bool splice_vm_vma_snapshot_group_is_new(struct splice_vm_vma_snapshot *snap,
						const struct splice_vm_vma_walk *walk)
{
	const struct splice_vm_vma_list *last = &snap->vmas[0];
	unsigned long addr = walk->group_start;
	unsigned int i;

	for (i = walk->group_old; i < last->nr && last->v[i].start <= addr; i++)
		addr = max(addr, last->v[i].end);
	return addr < walk->group_end ||
	       splice_vm_dirty_log_unmapped_touches(snap->dirty_log,
						    walk->group_start,
						    walk->group_end);
}

static bool splice_vm_vma_snapshot_group_changed(struct splice_vm_vma_snapshot *snap,
						 struct splice_vm_vma_walk *walk)
{
	if (!walk->group_known)
		walk->group_changed = splice_vm_vma_snapshot_group_is_new(snap, walk);
	walk->group_known = true;
	return walk->group_changed;
}

/* It is private, has pages of its own, and is not writable or was not. */
static bool splice_vm_vma_is_forcible(const struct vm_area_struct *vma,
				      const struct splice_vm_vma_list *last,
				      unsigned int i)
{
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) != VM_MAYWRITE ||
	    !vma->anon_vma)
		return false;
	if (!(vma->vm_flags & VM_WRITE))
		return true;
	for (; i < last->nr && last->v[i].start < vma->vm_end; i++)
		if (!last->v[i].writable)
			return true;
	return false;
}

/* A mapping that is writable now may have been so in part: a heap grows into a reservation. */
static void splice_vm_vma_snapshot_log_forced(struct splice_vm_vma_snapshot *snap,
					      const struct vm_area_struct *vma,
					      unsigned int i)
{
	const struct splice_vm_vma_list *last = &snap->vmas[0];
	unsigned long start = vma->vm_start, end = vma->vm_end;

	if (!(vma->vm_flags & VM_WRITE)) {
		splice_vm_dirty_log_recheck(snap->dirty_log, start, end);
		return;
	}
	for (; i < last->nr && last->v[i].start < end; i++)
		if (!last->v[i].writable)
			splice_vm_dirty_log_recheck(snap->dirty_log,
						    max(start, last->v[i].start),
						    min(end, last->v[i].end));
}

/* Logs the parts of [from, end) that were not mapped. */
static void splice_vm_vma_snapshot_log_new(struct splice_vm_vma_snapshot *snap,
					   struct splice_vm_vma_walk *walk,
					   unsigned long from, unsigned long end)
{
	const struct splice_vm_vma_list *last = &snap->vmas[0];

	while (from < end && walk->old < last->nr &&
	       last->v[walk->old].start < end) {
		splice_vm_dirty_log_recheck(snap->dirty_log, from,
					    last->v[walk->old].start);
		from = last->v[walk->old].end;
		if (from < end)
			walk->old++;
	}
	splice_vm_dirty_log_recheck(snap->dirty_log, from, end);
}

/**
 * splice_vm_vma_snapshot_begin() - a look at all mappings begins
 * @snap: of a session; the mmap lock of its mm is held for writing
 * @walk: filled
 */
void splice_vm_vma_snapshot_begin(struct splice_vm_vma_snapshot *snap,
				  struct splice_vm_vma_walk *walk)
{
	*walk = (struct splice_vm_vma_walk){};
	snap->vmas[1].nr = 0;
	snap->vmas[1].valid = true;
}

/**
 * splice_vm_vma_snapshot_add() - the next mapping
 * @snap: of a session; the mmap lock of its mm is held for writing
 * @vma: goes into the list; pages of it that count as written, whatever their entries say, are
 *	logged
 * @walk: from splice_vm_vma_snapshot_begin()
 */
void splice_vm_vma_snapshot_add(struct splice_vm_vma_snapshot *snap,
				struct vm_area_struct *vma,
				struct splice_vm_vma_walk *walk)
{
	struct splice_vm_vma_list *last = &snap->vmas[0], *now = &snap->vmas[1];
	unsigned long start = vma->vm_start, end = vma->vm_end;

	if (now->nr < now->cap)
		now->v[now->nr++] = (struct splice_vm_vma_entry){
			start, end, vma->vm_flags & VM_WRITE
		};
	else
		now->valid = false;

	if (!last->valid) {
		splice_vm_dirty_log_recheck(snap->dirty_log, start, end);
		return;
	}
	while (walk->old < last->nr && last->v[walk->old].end <= start)
		walk->old++;
	if (start >= walk->group_end)
		splice_vm_vma_snapshot_group_begin(walk, vma);
	/* A mapping made before the first epoch may have VM_SOFTDIRTY as well. */
	if (splice_vm_vma_is_forcible(vma, last, walk->old) &&
	    (snap->fresh || splice_vm_vma_snapshot_group_changed(snap, walk)))
		splice_vm_vma_snapshot_log_forced(snap, vma, walk->old);
	splice_vm_vma_snapshot_log_new(snap, walk, start, end);
}

/**
 * splice_vm_vma_snapshot_end() - that was the last mapping: the next epoch begins with this list
 * @snap: of a session; the mmap lock of its mm is held for writing
 */
void splice_vm_vma_snapshot_end(struct splice_vm_vma_snapshot *snap)
{
	swap(snap->vmas[0], snap->vmas[1]);
}

static int splice_vm_vma_snapshot_grow(struct splice_vm_vma_snapshot *snap,
				       struct mm_struct *mm, unsigned int cap)
{
	struct splice_vm_vma_entry *fresh[2];
	int i;

	for (i = 0; i < 2; i++)
		fresh[i] = kvmalloc_array(cap, sizeof(*fresh[i]),
					  GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!fresh[0] || !fresh[1] || mmap_read_lock_killable(mm)) {
		kvfree(fresh[0]);
		kvfree(fresh[1]);
		return fresh[0] && fresh[1] ? -EINTR : -ENOMEM;
	}
	/* splice_vm_vma_snapshot_end() swaps the two, so both are as long. */
	for (i = 0; i < 2; i++) {
		if (snap->vmas[i].nr)
			memcpy(fresh[i], snap->vmas[i].v,
			       snap->vmas[i].nr * sizeof(*fresh[i]));
		swap(fresh[i], snap->vmas[i].v);
		snap->vmas[i].cap = cap;
	}
	mmap_read_unlock(mm);
	kvfree(fresh[0]);
	kvfree(fresh[1]);
	return 0;
}

/**
 * splice_vm_vma_snapshot_prepare() - have room for the mappings of the next snapshot
 * @snap: of a session, whose lock is held
 * @mm: its mm; the caller holds a user of it
 *
 * Sleeps. Return: 0; -ENOMEM or -EINTR, after which everything counts as new
 */
int splice_vm_vma_snapshot_prepare(struct splice_vm_vma_snapshot *snap, struct mm_struct *mm)
{
	unsigned int count = READ_ONCE(mm->map_count);

	if (snap->vmas[0].cap >= count + count / 8 + 16)
		return 0;
	return splice_vm_vma_snapshot_grow(snap, mm, count + count / 4 + 64);
}

/* No callback may run any more. */
void splice_vm_vma_snapshot_free(struct splice_vm_vma_snapshot *snap)
{
	kvfree(snap->vmas[0].v);
	kvfree(snap->vmas[1].v);
}
