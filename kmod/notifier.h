/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_NOTIFIER_H
#define SPLICE_VM_NOTIFIER_H

#include "session.h"

#ifdef CONFIG_MMU_NOTIFIER

int splice_vm_notifier_register(struct splice_vm_session *sess,
				struct mm_struct *mm);
void splice_vm_notifier_unregister(struct splice_vm_session *sess);

#else

static inline int splice_vm_notifier_register(struct splice_vm_session *sess,
					      struct mm_struct *mm)
{
	return 0;
}

static inline void
splice_vm_notifier_unregister(struct splice_vm_session *sess)
{
}

#endif

#endif
