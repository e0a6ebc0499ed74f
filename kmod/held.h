/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_HELD_H
#define SPLICE_VM_HELD_H

#include "session.h"

unsigned long splice_vm_held_collect(struct splice_vm_session *sess,
				     struct mm_struct *mm, unsigned long addr,
				     unsigned long end, unsigned int *tables);
void splice_vm_held_collect_all(struct splice_vm_session *sess,
				struct mm_struct *mm);

#endif
