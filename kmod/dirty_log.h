/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_DIRTY_LOG_H
#define SPLICE_VM_DIRTY_LOG_H

#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>

#include "ranges.h"

/**
 * struct splice_vm_chunk - the pages of one page table, in a dirty log
 * @node: in splice_vm_dirty_log.chunks, by @index
 * @free: in splice_vm_dirty_log.pool instead, while unused
 * @index: address >> SPLICE_VM_CHUNK_SHIFT
 * @dirty: pages that were written in an epoch that ended
 * @extra_refs: pages of @dirty that are in it because of extra references only
 * @recheck: pages that may have been dropped or replaced: SCAN looks at the page table
 */
struct splice_vm_chunk {
	union {
		struct rb_node node;
		struct list_head free;
	};
	unsigned long index;
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES);
	DECLARE_BITMAP(extra_refs, SPLICE_VM_CHUNK_PAGES);
	DECLARE_BITMAP(recheck, SPLICE_VM_CHUNK_PAGES);
};

/**
 * struct splice_vm_dirty_log - pages that were written or dropped and that no SCAN took yet
 * @lock: innermost of all; taken in any context that may run a notifier
 * @chunks: struct splice_vm_chunk by index
 * @recheck: ranges whose page tables SCAN looks at
 * @unmapped: ranges that were unmapped in the running epoch. They stay here when a SCAN takes
 *	them from @recheck: mremap may move a page table there later, which leaves no trace
 * @ranges: pool of both sets
 * @pool: chunks that were allocated in advance; callbacks allocate nothing, so that a target
 *	cannot fill memory
 * @nr_pool: how many
 * @nr_chunks: how many are in @chunks
 * @overflows: how often detail was given up for want of memory
 *
 * The log owns its chunks. It never refuses a page: when memory is short the log takes in more
 * pages than it was told of, and SCAN looks at these pages one by one.
 */
struct splice_vm_dirty_log {
	spinlock_t lock; /* all below */
	struct rb_root chunks;
	struct splice_vm_range_set recheck;
	struct splice_vm_range_set unmapped;
	struct splice_vm_range_pool ranges;
	struct list_head pool;
	unsigned int nr_pool;
	unsigned int nr_chunks;
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

#endif
