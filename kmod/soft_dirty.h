/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SOFT_DIRTY_H
#define SPLICE_VM_SOFT_DIRTY_H

#include "session.h"

extern const struct splice_vm_tracker splice_vm_tracker_soft_dirty;

#endif
