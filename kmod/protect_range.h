/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_PROTECT_RANGE_H
#define SPLICE_VM_PROTECT_RANGE_H

#include "session.h"

bool splice_vm_protect_next(struct splice_vm_session *sess,
			    struct mm_struct *mm,
			    struct splice_vm_range *range, bool *may);
bool splice_vm_protect_registered(struct splice_vm_session *sess,
				  struct mm_struct *mm,
				  struct splice_vm_range *range);
void splice_vm_protect_tables(struct splice_vm_session *sess,
			      struct mm_struct *mm,
			      struct splice_vm_range *range);

#endif
