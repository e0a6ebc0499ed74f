/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_DIRTY_LOG_H
#define SPLICE_VM_DIRTY_LOG_H

#include <linux/list.h>
#include <linux/spinlock.h>

#include "chunks.h"
#include "ranges.h"

/**
 * struct splice_vm_dirty_log - pages that were written or dropped and that no SCAN took yet
 * @lock: innermost of all; taken in any context that may run a notifier
 * @chunks: pages, and a pool of chunks for them
 * @recheck: ranges whose page tables SCAN looks at
 * @unmapped: ranges that were unmapped in the running epoch. They stay here when a SCAN takes
 *	them from @recheck: mremap may move a page table there later, which leaves no trace
 * @ranges: pool of both sets
 * @overflows: how often detail was given up for want of memory
 *
 * The log owns its chunks, but for those that SCAN took off the log in one hold of @lock, with
 * splice_vm_dirty_log_take_chunks(). SCAN alone uses these, without @lock: SCAN takes page table
 * locks, which are outside of @lock. Nothing sleeps until SCAN gives the chunks back. SCAN holds
 * the session's lock meanwhile, so that the session cannot be freed; a user of the mm, so that the
 * page tables cannot go away; and mmap_lock for reading, so that no epoch ends: an end needs
 * mmap_lock for writing, or the session's lock. A callback that runs meanwhile finds the log
 * without these chunks, and logs in others.
 *
 * The log never refuses a page: when memory is short the log takes in more
 * pages than it was told of, and SCAN looks at these pages one by one.
 */
struct splice_vm_dirty_log {
	spinlock_t lock; /* all below */
	struct splice_vm_chunk_set chunks;
	struct splice_vm_range_set recheck;
	struct splice_vm_range_set unmapped;
	struct splice_vm_range_pool ranges;
	u64 overflows;
};

int splice_vm_dirty_log_cache_create(void);
void splice_vm_dirty_log_cache_destroy(void);

void splice_vm_dirty_log_init(struct splice_vm_dirty_log *log);
void splice_vm_dirty_log_destroy(struct splice_vm_dirty_log *log);
int splice_vm_dirty_log_reserve(struct splice_vm_dirty_log *log, unsigned int chunks,
				unsigned int ranges);
void splice_vm_dirty_log_recheck(struct splice_vm_dirty_log *log, unsigned long start,
				 unsigned long end);
void splice_vm_dirty_log_written(struct splice_vm_dirty_log *log, unsigned long start,
				 unsigned long end);
void splice_vm_dirty_log_unmap(struct splice_vm_dirty_log *log, unsigned long start,
			       unsigned long end);
bool splice_vm_dirty_log_unmapped_touches(struct splice_vm_dirty_log *log,
					  unsigned long start, unsigned long end);
void splice_vm_dirty_log_recheck_unmapped(struct splice_vm_dirty_log *log);
void splice_vm_dirty_log_move(struct splice_vm_dirty_log *to,
			      struct splice_vm_dirty_log *from, unsigned long start,
			      unsigned long end);
bool splice_vm_dirty_log_peek(struct splice_vm_dirty_log *log, unsigned long index,
			      struct splice_vm_chunk *out);
void splice_vm_dirty_log_add(struct splice_vm_dirty_log *log, unsigned long index,
			     const unsigned long *dirty,
			     const unsigned long *held);
bool splice_vm_dirty_log_next(struct splice_vm_dirty_log *log, unsigned long addr,
			      unsigned long *next, unsigned long *gap_end);
void splice_vm_dirty_log_cut(struct splice_vm_dirty_log *log, unsigned long start,
			     unsigned long end);
void splice_vm_dirty_log_take(struct splice_vm_dirty_log *log, unsigned long index,
			      struct splice_vm_chunk *out);
void splice_vm_dirty_log_put_back(struct splice_vm_dirty_log *log,
				  const struct splice_vm_chunk *chunk,
				  unsigned int from, unsigned int to);
unsigned int splice_vm_dirty_log_take_chunks(struct splice_vm_dirty_log *log,
					     unsigned long start, unsigned long end,
					     unsigned int max, struct list_head *taken);
void splice_vm_dirty_log_give_chunks(struct splice_vm_dirty_log *log,
				     struct list_head *reported, unsigned int nr_reported,
				     struct list_head *rest);

#endif
