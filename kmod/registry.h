/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_REGISTRY_H
#define SPLICE_VM_REGISTRY_H

#include "session.h"

void splice_vm_registry_add(struct splice_vm_session *sess);
void splice_vm_registry_del(struct splice_vm_session *sess);

/* Return: 0 to go on; anything else ends the walk */
typedef int (*splice_vm_registry_fn)(struct splice_vm_session *sess, void *arg);

int splice_vm_registry_walk(u64 *next, splice_vm_registry_fn fn, void *arg);

#endif
