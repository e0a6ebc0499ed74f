// SPDX-License-Identifier: GPL-2.0
/*
 * Which addresses the write-protect tracker may do what to: each of these looks for the next
 * part of a range. The caller holds the target's mmap lock, and the session's lock; what is true
 * then may change as soon as the first is given back, so the ioctls that follow may fail.
 */
#include <linux/mm.h>
#include <linux/userfaultfd_k.h>

#include "protect.h"
#include "protect_range.h"
#include "walk.h"

#if SPLICE_VM_HAS_PROTECT

/* Page tables that PAGEMAP_SCAN is given at once: it holds the mmap lock, where it finds little. */
#define SPLICE_VM_PROTECT_STEPS	4096
/* Mappings that are looked at in one hold of the mmap lock: below a millisecond. */
#define SPLICE_VM_PROTECT_VMAS	4096

/*
 * What can be registered, but not followed. PAGEMAP_SCAN passes over huge pages of 1 GiB without a
 * word. And DAX: its huge entries become writable and still say that they are protected, and over
 * a note of protection in an empty entry insert_pfn() (mm/memory.c) puts nothing, so that the
 * fault comes again and again.
 */
static bool splice_vm_protect_refuses(const struct vm_area_struct *vma)
{
	return is_vm_hugetlb_page(vma) || vma_is_dax(vma);
}

/**
 * splice_vm_protect_next() - the first mapping that is not registered with us
 * @sess: the session
 * @mm: its mm
 * @range: where to look; cut to that mapping
 * @may: out: whether it can be registered
 *
 * Return: false when there is none: all has been followed since the last SCAN
 */
bool splice_vm_protect_next(struct splice_vm_session *sess,
			    struct mm_struct *mm,
			    struct splice_vm_range *range, bool *may)
{
	VMA_ITERATOR(vmi, mm, range->start);
	struct vm_area_struct *vma;

	for_each_vma_range(vmi, vma, range->end) {
		bool ours = vma->vm_userfaultfd_ctx.ctx ==
			    sess->uffd->private_data;

		/* One that took the place of what we were about to register is not followed. */
		if (splice_vm_vma_is_io(vma) ||
		    (ours && !splice_vm_protect_refuses(vma)))
			continue;
		range->start = max(range->start, vma->vm_start);
		range->end = min(range->end, vma->vm_end);
		*may = !splice_vm_protect_refuses(vma);
		return true;
	}
	return false;
}

/**
 * splice_vm_protect_registered() - the first part that is registered with us
 * @sess: the session
 * @mm: its mm
 * @range: where to look; cut to that part
 *
 * Return: false when there is none
 */
bool splice_vm_protect_registered(struct splice_vm_session *sess,
				  struct mm_struct *mm,
				  struct splice_vm_range *range)
{
	VMA_ITERATOR(vmi, mm, range->start);
	struct vm_area_struct *vma;

	for_each_vma_range(vmi, vma, range->end) {
		if (vma->vm_userfaultfd_ctx.ctx != sess->uffd->private_data)
			continue;
		range->start = max(range->start, vma->vm_start);
		range->end = min(range->end, vma->vm_end);
		return true;
	}
	return false;
}

/**
 * splice_vm_protect_tables() - the first part that is ours and has page tables
 * @sess: the session
 * @mm: its mm
 * @range: where to look; cut to that part, and empty where the way to it is long: its end
 *	says how far there is none
 *
 * PAGEMAP_SCAN calls the rest written and makes tables for it, to note there that it is
 * protected (pagemap_scan_pte_hole() of 6.12.117 and 7.2): for a large reservation these fill a
 * machine. What comes there after our look is not protected, so the next SCAN finds it.
 */
void splice_vm_protect_tables(struct splice_vm_session *sess,
			      struct mm_struct *mm,
			      struct splice_vm_range *range)
{
	VMA_ITERATOR(vmi, mm, range->start);
	unsigned long start = range->start, limit = range->end;
	unsigned int left = SPLICE_VM_PROTECT_VMAS;
	unsigned int steps = SPLICE_VM_PROTECT_STEPS;
	struct vm_area_struct *vma;
	bool found = false;

	range->start = limit;
	for_each_vma_range(vmi, vma, limit) {
		struct userfaultfd_ctx *ctx = vma->vm_userfaultfd_ctx.ctx;
		unsigned long addr = max(vma->vm_start, start);
		unsigned long end = min(vma->vm_end, limit);

		if (!left--) {
			if (!found)
				*range = (struct splice_vm_range){ addr, addr };
			break;
		}
		if (ctx != sess->uffd->private_data ||
		    splice_vm_protect_refuses(vma)) {
			/* PAGEMAP_SCAN would take from a task what it wants to know of itself. */
			if (found && ctx)
				break;
			continue;
		}
		if (!found) {
			addr = splice_vm_walk_skip(mm, addr, end);
			if (addr >= end)
				continue;
			range->start = addr;
			found = true;
		}
		range->end = splice_vm_walk_tables(mm, addr, end, &steps);
		if (range->end < end)
			break;
	}
}

#endif
