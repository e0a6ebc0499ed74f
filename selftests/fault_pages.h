/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that are written and dropped, and what SCAN should say and does say of each; some
 * close together, some with a page table each.
 */
#ifndef SPLICE_VM_SELFTESTS_FAULT_PAGES_H
#define SPLICE_VM_SELFTESTS_FAULT_PAGES_H

#include "svm.h"
#include "target.h"

void fault_pages_init(struct target *t, unsigned long seed);
/* The target writes some pages and drops others. */
void fault_pages_change(struct target *t);
/* The pages with a table of their own are there, all written, or not. */
void fault_pages_grow(struct target *t);
void fault_pages_shrink(struct target *t);
/* A SCAN said this; the latest one counts. */
void fault_pages_reported(const struct splice_vm_run *runs, size_t nr);
/* Everything that changed was reported as it is now. Then nothing is wanted any more. */
bool fault_pages_are_right(void);

#endif
