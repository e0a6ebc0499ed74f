/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_TARGET_H
#define SPLICE_VM_TARGET_H

#include "session.h"

int splice_vm_target_init(void);

long splice_vm_attach(struct splice_vm_session *sess, void *arg);
struct mm_struct *splice_vm_target_get(struct splice_vm_session *sess);
void splice_vm_target_put(struct mm_struct *mm);

#endif
