/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_RUNS_H
#define SPLICE_VM_RUNS_H

#include <linux/splice_vm.h>
#include <linux/types.h>

/**
 * struct splice_vm_runs - runs that are put together for the caller
 * @v: the runs
 * @nr: so far
 * @cap: so many fit into the memory that there is
 * @max: so many the caller has room for
 *
 * Of one call: no lock.
 */
struct splice_vm_runs {
	struct splice_vm_run *v;
	unsigned int nr;
	unsigned int cap;
	unsigned int max;
};

int splice_vm_runs_init(struct splice_vm_runs *runs, unsigned int cap,
			unsigned int max);
bool splice_vm_runs_push(struct splice_vm_runs *runs, u64 addr, u32 nr_pages,
			 u32 flags);
bool splice_vm_runs_add(struct splice_vm_runs *runs, u64 addr, u32 nr_pages,
			u32 flags);
bool splice_vm_runs_grow(struct splice_vm_runs *runs);
void splice_vm_runs_free(struct splice_vm_runs *runs);

#endif
