/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_WALK_H
#define SPLICE_VM_WALK_H

#include <linux/hugetlb.h>
#include <linux/mm.h>

#include "dirty_log.h"

/* State of a page as its page table entry tells; 0 is a hole. */
#define SPLICE_VM_STATE_ANON		0x01	/* anonymous page */
#define SPLICE_VM_STATE_FILE		0x02	/* page of a file or shared memory */
#define SPLICE_VM_STATE_ZERO		0x04	/* the zero page */
#define SPLICE_VM_STATE_SWAPPED		0x08	/* swap or migration entry */
#define SPLICE_VM_STATE_HUGE		0x10	/* mapped by a page middle directory */
#define SPLICE_VM_STATE_WRITTEN		0x20	/* soft-dirty, or writable */
#define SPLICE_VM_STATE_EXTRA_REFS	0x40	/* others hold references */
#define SPLICE_VM_STATE_MOVING		0x80	/* with SWAPPED: a migration entry */

/* Bits that a page which reads as zeros may have. */
#define SPLICE_VM_STATE_ZERO_ANY \
	(SPLICE_VM_STATE_ZERO | SPLICE_VM_STATE_HUGE | SPLICE_VM_STATE_WRITTEN)

/* Properties that a walk looks for, since each look at a struct page costs time. */
#define SPLICE_VM_WALK_WRITTEN		0x1	/* pages not written are passed over */
#define SPLICE_VM_WALK_EXTRA_REFS	0x2	/* say which have extra references */
#define SPLICE_VM_WALK_WRITABLE_CLEAN	0x4	/* only pages writable with the bit clear */
#define SPLICE_VM_WALK_GROWN		0x8	/* and pages that a read can make so */

/**
 * struct splice_vm_window - states of pages that lie in one chunk
 * @how: in: SPLICE_VM_WALK_*
 * @only: in: bitmap of the chunk's pages to look at, or NULL for all
 * @start: out: address of the first page
 * @nr: out: pages
 * @found: out: bitmap of them, neither holes nor passed over
 * @states: out: SPLICE_VM_STATE_* of those in @found; the rest is not set
 */
struct splice_vm_window {
	unsigned int how;
	const unsigned long *only;
	unsigned long start;
	unsigned int nr;
	DECLARE_BITMAP(found, SPLICE_VM_CHUNK_PAGES);
	u8 states[SPLICE_VM_CHUNK_PAGES];
};

bool splice_vm_walk_window(struct vm_area_struct *vma, unsigned long start,
			   unsigned long end, struct splice_vm_window *win);
void splice_vm_walk_writable_clean(struct mm_struct *mm, unsigned long start,
				   unsigned long end, bool grown,
				   struct splice_vm_window *win);
unsigned long splice_vm_walk_skip(struct mm_struct *mm, unsigned long addr,
				  unsigned long end);

/* State of page @i of a window; 0 for a hole, or where it was passed over. */
static inline u8 splice_vm_window_state(const struct splice_vm_window *win,
					unsigned int i)
{
	return test_bit(i, win->found) ? win->states[i] : 0;
}

/* Memory of a device: nothing in it is a page that could be taken or copied. */
static inline bool splice_vm_vma_is_io(const struct vm_area_struct *vma)
{
	return vma->vm_flags & (VM_IO | VM_PFNMAP);
}

/* VM_SHARED is not set where the descriptor was read-only; others write there all the same. */
static inline bool splice_vm_vma_is_shared(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_MAYSHARE;
}

/* Page tables do not tell what such a mapping holds. */
static inline bool splice_vm_vma_is_opaque(struct vm_area_struct *vma)
{
	return is_vm_hugetlb_page(vma) || splice_vm_vma_is_shared(vma);
}

/**
 * splice_vm_state_has_content() - is there something that the receiver must get
 * @vma: where the page is mapped
 * @state: SPLICE_VM_STATE_*
 *
 * A page of a file in a private mapping has not been written: it is the file's. The
 * zero page in one (KSM puts it there) is not.
 */
static inline bool splice_vm_state_has_content(struct vm_area_struct *vma,
					       u8 state)
{
	/* An empty entry of shared memory says nothing: others may hold the page. */
	if (splice_vm_vma_is_shared(vma))
		return true;
	if (state & SPLICE_VM_STATE_ZERO)
		return !vma_is_anonymous(vma);
	return state & (SPLICE_VM_STATE_ANON | SPLICE_VM_STATE_SWAPPED);
}

#endif
