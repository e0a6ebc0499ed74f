/* SPDX-License-Identifier: GPL-2.0 */
/* SCAN and clear_refs as calls that are made to fail; see struct fault_case. */
#ifndef SPLICE_VM_SELFTESTS_FAULT_SCAN_H
#define SPLICE_VM_SELFTESTS_FAULT_SCAN_H

#include <stdbool.h>

#include "svm.h"
#include "target.h"

void fault_scan_init(struct svm *s, struct target *t);

void fault_scan_before(void);
long fault_scan_tracked(void);
bool fault_scan_after(long ret);
long fault_scan_populated(void);
bool fault_scan_populated_after(long ret);

/* With a session that has chunks for a few page tables, of a target that now has many. */
void fault_scan_grown_before(void);
bool fault_scan_grown_after(long ret);

/* A write of clear_refs, which takes the snapshot. */
void fault_epoch_before(void);
long fault_epoch(void);
bool fault_epoch_after(long ret);

/* How many runs a SCAN takes; 0 for as many as fit. */
void fault_scan_cap(unsigned int nr);
/* A report that is lost. Return: it was seen */
bool fault_scan_control(void);

#endif
