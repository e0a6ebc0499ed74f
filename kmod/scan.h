/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SCAN_H
#define SPLICE_VM_SCAN_H

#include "session.h"

long splice_vm_scan(struct splice_vm_session *sess, void *arg);
void splice_vm_scan_lost(struct splice_vm_session *sess, void *arg);

#endif
