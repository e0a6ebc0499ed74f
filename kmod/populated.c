// SPDX-License-Identifier: GPL-2.0
/* SCAN POPULATED: the pages that page tables have, whether a tracker runs or not. */
#include <linux/hugetlb.h>
#include <linux/mm.h>

#include "populated.h"
#include "walk.h"

static u32 splice_vm_populated_flags(u8 state)
{
	u32 flags = 0;

	if (state & SPLICE_VM_STATE_SWAPPED)
		flags |= SPLICE_VM_RUN_SWAPPED;
	else if (state)
		flags |= SPLICE_VM_RUN_PRESENT;
	if (state & SPLICE_VM_STATE_ZERO)
		flags |= SPLICE_VM_RUN_ZERO;
	if (state & SPLICE_VM_STATE_FILE)
		flags |= SPLICE_VM_RUN_FILE;
	if (state & SPLICE_VM_STATE_HUGE)
		flags |= SPLICE_VM_RUN_HUGE;
	return flags;
}

/* How many pages from page @i of a window on are alike; a huge page is so all through. */
static unsigned int
splice_vm_populated_alike(const struct splice_vm_window *win, unsigned int i)
{
	unsigned int end = find_next_zero_bit(win->found, win->nr, i), n = i;
	u8 state = win->states[i];

	if (state & SPLICE_VM_STATE_HUGE)
		return end - i;
	do {
		n++;
	} while (n < end && win->states[n] == state);
	return n - i;
}

static void splice_vm_populated_window(struct splice_vm_scan_call *call,
				       const struct vm_area_struct *vma,
				       const struct splice_vm_window *win)
{
	unsigned int i, nr;
	u32 flags;

	for (i = find_first_bit(win->found, win->nr); i < win->nr;
	     i = find_next_bit(win->found, win->nr, i + nr)) {
		unsigned long addr = win->start + ((unsigned long)i << PAGE_SHIFT);

		nr = splice_vm_populated_alike(win, i);
		flags = splice_vm_populated_flags(win->states[i]);
		if (splice_vm_vma_is_shared(vma))
			flags |= SPLICE_VM_RUN_UNTRACKED;
		if (!splice_vm_scan_emit(call, addr, nr, flags)) {
			call->addr = addr;
			return;
		}
	}
	call->addr = win->start + ((unsigned long)win->nr << PAGE_SHIFT);
}

static void splice_vm_populated_hugetlb(struct splice_vm_scan_call *call,
					const struct vm_area_struct *vma,
					unsigned long end)
{
	u32 flags = SPLICE_VM_RUN_PRESENT | SPLICE_VM_RUN_HUGE;

	if (splice_vm_vma_is_shared(vma))
		flags |= SPLICE_VM_RUN_UNTRACKED;
	end = min(end, call->addr + SPLICE_VM_SCAN_RUN_MAX);
	if (splice_vm_scan_emit(call, call->addr,
				(end - call->addr) >> PAGE_SHIFT, flags))
		call->addr = end;
}

/**
 * splice_vm_populated_step() - what there is in the next page table, or hugetlb mapping
 * @call: the SCAN; its address moves on
 * @mm: the target's; mmap lock held
 *
 * Return: false at the end of the range or of the room
 */
bool splice_vm_populated_step(struct splice_vm_scan_call *call,
			      struct mm_struct *mm)
{
	struct vm_area_struct *vma = find_vma(mm, call->addr);
	unsigned long end;

	call->win.how = 0;
	call->win.only = NULL;
	if (!vma || vma->vm_start >= call->end) {
		call->addr = call->end;
		return false;
	}
	call->addr = max(call->addr, vma->vm_start);
	end = min(vma->vm_end, call->end);
	if (splice_vm_vma_is_io(vma)) {
		call->addr = end;
	} else if (is_vm_hugetlb_page(vma)) {
		splice_vm_populated_hugetlb(call, vma, end);
	} else {
		call->addr = splice_vm_walk_skip(mm, call->addr, end);
		if (call->addr < end) {
			splice_vm_walk_window(vma, call->addr, end, &call->win);
			splice_vm_populated_window(call, vma, &call->win);
		}
	}
	return !call->full && call->addr < call->end;
}
