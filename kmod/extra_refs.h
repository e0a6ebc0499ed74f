/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_EXTRA_REFS_H
#define SPLICE_VM_EXTRA_REFS_H

#include "session.h"

unsigned long splice_vm_extra_refs_collect(struct splice_vm_session *sess,
					   struct mm_struct *mm, unsigned long addr,
					   unsigned long end, unsigned int *tables);
void splice_vm_extra_refs_collect_all(struct splice_vm_session *sess,
				      struct mm_struct *mm);

#endif
