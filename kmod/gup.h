/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_GUP_H
#define SPLICE_VM_GUP_H

#include <linux/mm.h>
#include <linux/sched/coredump.h>

#include "session.h"

/* NUMA hints (6.1) and pages that may not be read are followed for the privileged only. */
static inline unsigned int
splice_vm_gup_force(const struct splice_vm_session *sess)
{
	return sess->ptrace_capable ? FOLL_FORCE : 0;
}

/*
 * The OOM reaper, and process_mrelease(), take private pages away from a killed
 * task that cannot end, as a frozen one. What is at their place since is not the
 * task's: a hole, or the file's page, which the kernel may map beside another
 * one that is faulted in. The flag is set before the first page goes: asked
 * after the page was looked for, it tells whether what was found can be of these.
 */
static inline bool splice_vm_mm_is_reaped(const struct mm_struct *mm)
{
	/* Pairs with the lock of the page table, under which the pages go. */
	smp_rmb();
	return mm_flags_test(MMF_UNSTABLE, mm);
}

/**
 * enum splice_vm_gup_result - why the page at an address could not be taken
 * @SPLICE_VM_GUP_DONE: it could
 * @SPLICE_VM_GUP_ZERO: hole or zero page of anonymous memory
 * @SPLICE_VM_GUP_GONE: nothing readable is mapped, or the kernel took it away
 * @SPLICE_VM_GUP_SLOW: there is memory, but not as a page to be referenced
 */
enum splice_vm_gup_result {
	SPLICE_VM_GUP_DONE,
	SPLICE_VM_GUP_ZERO,
	SPLICE_VM_GUP_GONE,
	SPLICE_VM_GUP_SLOW,
};

enum splice_vm_gup_result
splice_vm_gup(struct splice_vm_session *sess, struct mm_struct *mm,
	      unsigned long addr, unsigned long nr, struct page **pages,
	      unsigned long *count);
void splice_vm_gup_put(struct splice_vm_session *sess, struct page **pages,
		       unsigned long nr);

#endif
