// SPDX-License-Identifier: GPL-2.0
/*
 * References on the target's pages, without faulting anything in: no allocation
 * in holes and no wait for a userfaultfd or FUSE. Plain references, never
 * pins: clear_refs passes over pinned pages, and pipes and sockets put_page().
 */
#include <linux/dax.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>

#include "gup.h"
#include "walk.h"

#define SPLICE_VM_GUP_FLAGS	(FOLL_NOFAULT | FOLL_DUMP)

/* A reference on 4 KiB of these can hold far more, or a device: copied instead. */
static bool splice_vm_vma_is_copied(struct vm_area_struct *vma)
{
	return is_vm_hugetlb_page(vma) || vma_is_dax(vma) ||
	       (vma->vm_flags & VM_MIXEDMAP);
}

/*
 * Why get_user_pages() stopped: it says EFAULT to holes as well as to swapped
 * pages, so the page table decides. Fills @count with how many pages are alike.
 */
static enum splice_vm_gup_result
splice_vm_gup_explain(struct vm_area_struct *vma, unsigned long addr,
		      unsigned long end, unsigned long *count)
{
	struct splice_vm_window win = {};
	enum splice_vm_gup_result why;
	unsigned int i;
	u8 state;

	/* No page: zeros in anonymous memory, elsewhere the file's content. */
	why = vma_is_anonymous(vma) ? SPLICE_VM_GUP_ZERO : SPLICE_VM_GUP_SLOW;
	if (!splice_vm_walk_window(vma, addr, end, &win)) {
		addr = splice_vm_walk_skip(vma->vm_mm, addr, end);
		*count = (addr - win.start) >> PAGE_SHIFT;
		/* A table may have come since. */
		if (*count)
			return why;
		*count = 1;
		return SPLICE_VM_GUP_SLOW;
	}

	state = splice_vm_window_state(&win, 0);
	if (state & SPLICE_VM_STATE_ZERO)
		why = SPLICE_VM_GUP_ZERO;
	else if (state)
		why = SPLICE_VM_GUP_SLOW;
	*count = 1;
	if (state & ~SPLICE_VM_STATE_ZERO_ANY)
		return why;
	for (i = 1; i < win.nr && splice_vm_window_state(&win, i) == state; i++)
		++*count;
	return why;
}

/**
 * splice_vm_gup() - references on pages that lie side by side
 * @sess: the session
 * @mm: its mm; the caller holds a user of it and mmap_lock for reading
 * @addr: first address, page aligned
 * @nr: so many pages at the most
 * @pages: filled; the caller owns a reference on each and undoes them
 * @count: out: how many pages the answer is about, at least 1
 *
 * Does not sleep for the target. Return: SPLICE_VM_GUP_DONE, or why not
 */
enum splice_vm_gup_result
splice_vm_gup(struct splice_vm_session *sess, struct mm_struct *mm,
	      unsigned long addr, unsigned long nr, struct page **pages,
	      unsigned long *count)
{
	struct vm_area_struct *vma = find_vma(mm, addr);
	unsigned long end = addr + (nr << PAGE_SHIFT);
	long got;

	if (!vma || vma->vm_start > addr) {
		if (vma)
			end = min(end, vma->vm_start);
		*count = (end - addr) >> PAGE_SHIFT;
		return SPLICE_VM_GUP_GONE;
	}
	end = min(end, vma->vm_end);
	*count = (end - addr) >> PAGE_SHIFT;
	if (splice_vm_vma_is_io(vma))
		return SPLICE_VM_GUP_GONE;
	if (splice_vm_vma_is_copied(vma))
		return SPLICE_VM_GUP_SLOW;

	got = get_user_pages_remote(mm, addr, *count,
				    SPLICE_VM_GUP_FLAGS | splice_vm_gup_force(sess),
				    pages, NULL);
	if (got <= 0) {
		enum splice_vm_gup_result why;

		why = splice_vm_gup_explain(vma, addr, end, count);
		return splice_vm_mm_is_reaped(mm) ? SPLICE_VM_GUP_GONE : why;
	}
	*count = got;
	if (splice_vm_mm_is_reaped(mm)) {
		release_pages(pages, got);
		return SPLICE_VM_GUP_GONE;
	}
	atomic64_add(got, &sess->inflight);
	return SPLICE_VM_GUP_DONE;
}

/**
 * splice_vm_gup_put() - put the references of splice_vm_gup()
 * @sess: the session
 * @pages: the pages
 * @nr: how many
 */
void splice_vm_gup_put(struct splice_vm_session *sess, struct page **pages,
		       unsigned long nr)
{
	if (nr)
		release_pages(pages, nr);
	atomic64_sub(nr, &sess->inflight);
}
