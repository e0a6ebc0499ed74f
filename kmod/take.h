/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_TAKE_H
#define SPLICE_VM_TAKE_H

#include <linux/mm.h>

#include "session.h"

/* NUMA hints (6.1) and pages that may not be read are followed for the privileged only. */
static inline unsigned int
splice_vm_gup_force(const struct splice_vm_session *sess)
{
	return sess->ptrace_capable ? FOLL_FORCE : 0;
}

/**
 * enum splice_vm_taken - why the page at an address could not be taken
 * @SPLICE_VM_TAKEN: it could
 * @SPLICE_VM_TAKE_ZERO: hole or zero page of anonymous memory
 * @SPLICE_VM_TAKE_GONE: nothing readable is mapped
 * @SPLICE_VM_TAKE_SLOW: there is memory, but not as a page to be referenced
 */
enum splice_vm_taken {
	SPLICE_VM_TAKEN,
	SPLICE_VM_TAKE_ZERO,
	SPLICE_VM_TAKE_GONE,
	SPLICE_VM_TAKE_SLOW,
};

enum splice_vm_taken
splice_vm_take(struct splice_vm_session *sess, struct mm_struct *mm,
	       unsigned long addr, unsigned long nr, struct page **pages,
	       unsigned long *count);
void splice_vm_take_undo(struct splice_vm_session *sess, struct page **pages,
			 unsigned long nr);

#endif
