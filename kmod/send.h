/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SEND_H
#define SPLICE_VM_SEND_H

#include "session.h"

#define SPLICE_VM_SEND_RUNS	1024

long splice_vm_send(struct splice_vm_session *sess, void *arg);

#endif
