/* SPDX-License-Identifier: GPL-2.0 */
/* What the task does while its memory is mirrored. */
#ifndef SPLICE_VM_SELFTESTS_MIRROR_LOAD_H
#define SPLICE_VM_SELFTESTS_MIRROR_LOAD_H

#include <linux/types.h>
#include <stdbool.h>

#include "target.h"

#define LOAD_BASE	0x100000000000UL
#define LOAD_OPS	15

/**
 * struct load_config - how much of it
 * @threads: that write
 * @mb: of memory in all
 * @seed: of all that is random
 * @rate: writes a second, of all threads
 * @ops: whether mappings change as well
 */
struct load_config {
	unsigned int threads;
	unsigned int mb;
	__u64 seed;
	unsigned int rate;
	bool ops;
};

/**
 * struct load_counts - what was done, shared with the target
 * @writes: that hit memory
 * @faults: that hit nothing
 * @ops: of each kind, done
 * @failed: of each kind, refused by the kernel
 */
struct load_counts {
	unsigned long writes;
	unsigned long faults;
	unsigned long ops[LOAD_OPS];
	unsigned long failed[LOAD_OPS];
};

extern const char * const load_op_names[LOAD_OPS];

/* Memory of which mappings never change: [LOAD_BASE, LOAD_BASE + this). */
unsigned long load_steady_bytes(const struct load_config *config);
/* Starts the threads in the target. The counts live until the program ends. */
struct load_counts *load_start(struct target *t,
			       const struct load_config *config);

#endif
