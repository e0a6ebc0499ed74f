// SPDX-License-Identifier: GPL-2.0
/* Memory for callbacks of the notifier, which may not allocate; by the size of the target. */
#include <linux/mm.h>

#include "reserve.h"

/* 640 KiB of them. */
#define SPLICE_VM_RESERVE_RANGES	16384UL

/*
 * How many ranges that are dropped in an epoch are kept apart. Each table may lose a page, and an
 * unmapping beside it is announced as a change of 2 MiB; memory that has no tables may be
 * unmapped; and every second page of a small heap may be.
 */
static unsigned int splice_vm_reserve_ranges(struct mm_struct *mm,
					     unsigned long tables)
{
	return max(2 * tables + READ_ONCE(mm->map_count),
		   min(SPLICE_VM_RESERVE_RANGES,
		       tables * SPLICE_VM_CHUNK_PAGES / 4));
}

/**
 * splice_vm_reserve() - have memory ready for what is recorded next
 * @sess: the session, its lock is held
 * @mm: its mm; the caller holds a user of it
 *
 * Sleeps. Return: 0; -ENOMEM or -EINTR, after which tracking is right all the
 * same, only coarser
 */
int splice_vm_reserve(struct splice_vm_session *sess, struct mm_struct *mm)
{
	unsigned long tables = mm_pgtables_bytes(mm) >> PAGE_SHIFT;
	unsigned int ranges = splice_vm_reserve_ranges(mm, tables);
	int ret;

	lockdep_assert_held(&sess->lock);
	ret = splice_vm_vma_snapshot_prepare(&sess->vma_snapshot, mm);
	if (ret)
		return ret;
	tables += tables / 8 + 64;
	ret = splice_vm_dirty_log_reserve(&sess->dirty_log, tables, ranges);
	if (ret)
		return ret;
	/* A network card may hold pages all over memory for long after they were sent. */
	return splice_vm_dirty_log_reserve(&sess->pending, tables,
					   READ_ONCE(mm->map_count));
}
