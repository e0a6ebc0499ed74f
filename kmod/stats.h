/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_STATS_H
#define SPLICE_VM_STATS_H

#include <linux/splice_vm.h>

#include "session.h"

void splice_vm_stats_attach(struct splice_vm_session *sess, int ret);
void splice_vm_stats_epoch(struct splice_vm_session *sess, u64 begun);
void splice_vm_stats_scan(struct splice_vm_session *sess,
			  const struct splice_vm_scan *scan,
			  const struct splice_vm_run *runs, unsigned int nr,
			  int ret);
void splice_vm_stats_send(struct splice_vm_session *sess,
			  const struct splice_vm_send *send, int ret);
void splice_vm_stats_drop(struct splice_vm_session *sess,
			  unsigned long start, unsigned long end,
			  enum mmu_notifier_event why);
void splice_vm_stats_gone(struct splice_vm_session *sess,
			  struct mm_struct *mm);

#endif
