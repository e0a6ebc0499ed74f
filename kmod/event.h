/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_EVENT_H
#define SPLICE_VM_EVENT_H

#include "session.h"

void splice_vm_events_init(struct splice_vm_session *sess);
void splice_vm_events_kick(struct splice_vm_session *sess);
void splice_vm_events_stop(struct splice_vm_session *sess);

#endif
