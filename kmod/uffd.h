/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_UFFD_H
#define SPLICE_VM_UFFD_H

#include "session.h"

bool splice_vm_file_is_uffd(const struct file *file);
long splice_vm_uffd(struct splice_vm_session *sess, void *arg);
void splice_vm_uffd_lost(struct splice_vm_session *sess, void *arg);

#endif
