/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_EPOCH_H
#define SPLICE_VM_EPOCH_H

#include "session.h"

#ifdef CONFIG_MMU_NOTIFIER

extern const struct splice_vm_tracker splice_vm_tracker_events;

long splice_vm_epoch(struct splice_vm_session *sess, void *arg);

#else

static inline long splice_vm_epoch(struct splice_vm_session *sess, void *arg)
{
	return -EOPNOTSUPP;
}

#endif

#endif
