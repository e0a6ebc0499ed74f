/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SNAPSHOT_H
#define SPLICE_VM_SNAPSHOT_H

#include "session.h"

int splice_vm_snapshot_begin(struct splice_vm_session *sess,
			     struct mm_struct *mm);
void splice_vm_snapshot_take(struct splice_vm_session *sess,
			     struct mm_struct *mm);
void splice_vm_snapshot_exposed(struct splice_vm_session *sess,
				const struct mmu_notifier_range *range);

#endif
