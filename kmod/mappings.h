/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_MAPPINGS_H
#define SPLICE_VM_MAPPINGS_H

#include "scan_call.h"

bool splice_vm_mappings_step(struct splice_vm_scan_call *call,
			     struct mm_struct *mm);

#endif
