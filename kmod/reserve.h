/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_RESERVE_H
#define SPLICE_VM_RESERVE_H

#include "session.h"

#ifdef CONFIG_MMU_NOTIFIER

int splice_vm_reserve(struct splice_vm_session *sess, struct mm_struct *mm);

#else

static inline int splice_vm_reserve(struct splice_vm_session *sess,
				    struct mm_struct *mm)
{
	return 0;
}

#endif

#endif
