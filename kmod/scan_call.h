/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SCAN_CALL_H
#define SPLICE_VM_SCAN_CALL_H

#include "runs.h"
#include "session.h"
#include "walk.h"

/* A run's length in pages has 32 bits. */
#define SPLICE_VM_SCAN_RUN_MAX	((unsigned long)U32_MAX << PAGE_SHIFT)

/**
 * struct splice_vm_scan_call - one SCAN under way
 * @sess: whose
 * @runs: the runs that were found so far
 * @user: where the caller wants it
 * @addr: where to go on
 * @end: where to end
 * @full: there was no room for a run
 * @tables: page tables that may be read before the target's mmap_lock is given back; the loop
 *	takes one off for each step, a step takes off what it read beyond
 * @vma: a mapping that may be the next page's, or NULL; since mmap_lock was taken, which keeps it
 * @win: for the steps: the kernel clears such memory whenever a function has it on its stack
 */
struct splice_vm_scan_call {
	struct splice_vm_session *sess;
	struct splice_vm_runs runs;
	unsigned long user;
	unsigned long addr;
	unsigned long end;
	bool full;
	int tables;
	struct vm_area_struct *vma;
	struct splice_vm_window win;
};

/* False when there is no room. */
static inline bool splice_vm_scan_emit(struct splice_vm_scan_call *call,
				       unsigned long addr, u32 nr, u32 flags)
{
	call->full = !splice_vm_runs_add(&call->runs, addr, nr, flags);
	return !call->full;
}

#endif
