// SPDX-License-Identifier: GPL-2.0
/*
 * SCAN MAPPINGS: which mappings the caller's write-protect userfaultfd covers, which it has to
 * register, and which cannot be followed. Pages of the last two have no protection that would
 * tell of a write, so all of them are logged for the next SCAN TRACKED.
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/userfaultfd_k.h>

#include "mappings.h"
#include "walk.h"

/*
 * Mappings that can be registered, but not followed. PAGEMAP_SCAN passes over huge pages of 1 GiB
 * without a word. A write to a protected huge entry of DAX leaves the entry writable and
 * protected at once, and the kernel's insert_pfn() puts nothing over a note of protection in an
 * empty entry, so that the fault comes again and again.
 */
static bool splice_vm_vma_is_unfollowable(struct vm_area_struct *vma)
{
	return is_vm_hugetlb_page(vma) || vma_is_dax(vma);
}

static u32 splice_vm_mapping_flags(const struct splice_vm_session *sess,
				   struct vm_area_struct *vma)
{
#ifdef CONFIG_USERFAULTFD
	struct userfaultfd_ctx *ctx = vma->vm_userfaultfd_ctx.ctx;

	/* The context is only compared: the session's reference on the file keeps it. */
	if (ctx && !splice_vm_vma_is_unfollowable(vma))
		return sess->uffd && ctx == sess->uffd->private_data ?
		       SPLICE_VM_RUN_COVERED : SPLICE_VM_RUN_OPAQUE;
#endif
	return splice_vm_vma_is_unfollowable(vma) ? SPLICE_VM_RUN_OPAQUE :
						    SPLICE_VM_RUN_NEW;
}

/* False when there is no room. */
static bool splice_vm_mappings_emit(struct splice_vm_scan_call *call,
				    unsigned long end, u32 flags)
{
	unsigned int nr = (end - call->addr) >> PAGE_SHIFT;

	/* One run for each mapping: UFFDIO_REGISTER takes all of its range or nothing. */
	if (flags == SPLICE_VM_RUN_NEW)
		call->full = !splice_vm_runs_push(&call->runs, call->addr, nr,
						  flags);
	else
		splice_vm_scan_emit(call, call->addr, nr, flags);
	return !call->full;
}

/**
 * splice_vm_mappings_step() - what covers the next mapping
 * @call: the SCAN, with the session's lock held; its address moves on
 * @mm: the target's; mmap lock held
 *
 * Return: false at the end of the range or of the room
 */
bool splice_vm_mappings_step(struct splice_vm_scan_call *call,
			     struct mm_struct *mm)
{
	struct vm_area_struct *vma = find_vma(mm, call->addr);
	unsigned long end;
	u32 flags;

	lockdep_assert_held(&call->sess->lock);
	if (!vma || vma->vm_start >= call->end) {
		call->addr = call->end;
		return false;
	}
	call->addr = max(call->addr, vma->vm_start);
	end = min3(vma->vm_end, call->end, call->addr + SPLICE_VM_SCAN_RUN_MAX);
	if (!splice_vm_vma_is_io(vma)) {
		flags = splice_vm_mapping_flags(call->sess, vma);
		if (!splice_vm_mappings_emit(call, end, flags))
			return false;
		if (flags != SPLICE_VM_RUN_COVERED)
			splice_vm_dirty_log_recheck(&call->sess->dirty_log, call->addr,
						    end);
	}
	call->addr = end;
	return call->addr < call->end;
}
