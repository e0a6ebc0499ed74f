/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_ATTACH_H
#define SPLICE_VM_ATTACH_H

#include "session.h"

int splice_vm_attach_init(void);

long splice_vm_attach(struct splice_vm_session *sess, void *arg);
void splice_vm_detach(struct splice_vm_session *sess);

#endif
