/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_VMA_SNAPSHOT_H
#define SPLICE_VM_VMA_SNAPSHOT_H

#include <linux/types.h>

struct mm_struct;
struct splice_vm_dirty_log;
struct vm_area_struct;

/**
 * struct splice_vm_vma_entry - a mapping when an epoch ended
 * @start: first byte
 * @end: byte after the last
 * @writable: by the task itself
 */
struct splice_vm_vma_entry {
	unsigned long start;
	unsigned long end;
	bool writable;
};

/**
 * struct splice_vm_vma_list - what was mapped when an epoch ended
 * @v: in order of addresses
 * @nr: in use
 * @cap: that fit
 * @valid: false when they did not all fit: everything counts as new
 */
struct splice_vm_vma_list {
	struct splice_vm_vma_entry *v;
	unsigned int nr;
	unsigned int cap;
	bool valid;
};

/**
 * struct splice_vm_vma_snapshot - what is mapped, from epoch to epoch
 * @vmas: [0] of the last epoch, [1] spare; under the target's mmap_lock, which the
 *	soft-dirty snapshot holds for writing and SCAN for reading together with the session's
 *	lock
 * @fresh: no epoch of the soft-dirty tracker has ended yet; like @vmas
 * @dirty_log: takes the pages that count as written
 */
struct splice_vm_vma_snapshot {
	struct splice_vm_vma_list vmas[2];
	bool fresh;
	struct splice_vm_dirty_log *dirty_log;
};

/**
 * struct splice_vm_vma_walk - a look at all mappings, in order
 * @old: index of the first mapping of the last epoch that can still matter
 * @group_start: first byte of mappings side by side that may once have been one
 * @group_end: byte after their last
 * @group_old: @old when the group began
 * @group_known: @group_changed is set
 * @group_changed: something was mapped in or next to it since the last epoch
 */
struct splice_vm_vma_walk {
	unsigned int old;
	unsigned long group_start;
	unsigned long group_end;
	unsigned int group_old;
	bool group_known;
	bool group_changed;
};

void splice_vm_vma_snapshot_begin(struct splice_vm_vma_snapshot *snap,
				  struct splice_vm_vma_walk *walk);
void splice_vm_vma_snapshot_add(struct splice_vm_vma_snapshot *snap,
				struct vm_area_struct *vma,
				struct splice_vm_vma_walk *walk);
void splice_vm_vma_snapshot_end(struct splice_vm_vma_snapshot *snap);
int splice_vm_vma_snapshot_prepare(struct splice_vm_vma_snapshot *snap, struct mm_struct *mm);
void splice_vm_vma_snapshot_free(struct splice_vm_vma_snapshot *snap);

#endif
