/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SCAN_TRACKED_H
#define SPLICE_VM_SCAN_TRACKED_H

#include "scan_call.h"

bool splice_vm_scan_tracked_step(struct splice_vm_scan_call *call,
				 struct mm_struct *mm);

#endif
