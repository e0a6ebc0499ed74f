/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_TRACK_H
#define SPLICE_VM_TRACK_H

#include "session.h"

#ifdef CONFIG_MMU_NOTIFIER

long splice_vm_track(struct splice_vm_session *sess, void *arg);
void splice_vm_track_free(struct splice_vm_session *sess);
u64 splice_vm_trackers(void);

#else

static inline long splice_vm_track(struct splice_vm_session *sess, void *arg)
{
	return -EOPNOTSUPP;
}

static inline void splice_vm_track_free(struct splice_vm_session *sess)
{
}

static inline u64 splice_vm_trackers(void)
{
	return 0;
}

#endif

#endif
