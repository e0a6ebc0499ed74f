/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_DIRTY_LOG_H
#define SPLICE_VM_DIRTY_LOG_H

#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>

#include "ranges.h"

/**
 * struct splice_vm_chunk - what is known of the pages of one page table
 * @node: in splice_vm_dirty_log.chunks, by @index
 * @free: in splice_vm_dirty_log.pool instead, while unused
 * @index: address >> SPLICE_VM_CHUNK_SHIFT
 * @dirty: written in an epoch that ended
 * @extra_refs: of those in @dirty, the ones that are so for references only
 * @recheck: somebody may have dropped or replaced it: look at the page table
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
 * struct splice_vm_dirty_log - pages written or dropped and not yet asked for
 * @lock: innermost of all; taken in any context that may run a notifier
 * @chunks: struct splice_vm_chunk by index
 * @recheck: ranges of which all must be looked at
 * @unmapped: ranges that were unmapped in the running epoch, whether or not a SCAN saw
 *	it: mremap may since have moved a page table there, which leaves no trace
 * @ranges: pool of both sets
 * @pool: chunks allocated in advance; callbacks allocate nothing, so that what a
 *	target does cannot fill memory
 * @nr_pool: how many
 * @nr_chunks: how many are in @chunks
 * @overflows: times that detail was given up for want of memory
 *
 * Owns its chunks. It never fails to take something in: when memory is short it
 * remembers more than was said, and the pages are looked at one by one later.
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
