/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SCAN_CALL_H
#define SPLICE_VM_SCAN_CALL_H

#include "runs.h"
#include "session.h"

/* A run's length in pages has 32 bits. */
#define SPLICE_VM_SCAN_RUN_MAX	((unsigned long)U32_MAX << PAGE_SHIFT)

/**
 * struct splice_vm_scan_call - one SCAN under way
 * @sess: whose
 * @runs: what was found
 * @user: where the caller wants it
 * @addr: where to go on
 * @end: where to end
 * @full: there was no room for a run
 */
struct splice_vm_scan_call {
	struct splice_vm_session *sess;
	struct splice_vm_runs runs;
	unsigned long user;
	unsigned long addr;
	unsigned long end;
	bool full;
};

/* False when there is no room. */
static inline bool splice_vm_scan_emit(struct splice_vm_scan_call *call,
				       unsigned long addr, u32 nr, u32 flags)
{
	call->full = !splice_vm_runs_add(&call->runs, addr, nr, flags);
	return !call->full;
}

#endif
