/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_RECORD_H
#define SPLICE_VM_RECORD_H

#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>

#include "ranges.h"

/**
 * struct splice_vm_chunk - what is known of the pages of one page table
 * @node: in splice_vm_record.chunks, by @index
 * @free: in splice_vm_record.pool instead, while unused
 * @index: address >> SPLICE_VM_CHUNK_SHIFT
 * @dirty: written in an epoch that ended
 * @held: of those in @dirty, the ones that are so for references only
 * @logged: somebody may have dropped or replaced it: look at the page table
 */
struct splice_vm_chunk {
	union {
		struct rb_node node;
		struct list_head free;
	};
	unsigned long index;
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES);
	DECLARE_BITMAP(held, SPLICE_VM_CHUNK_PAGES);
	DECLARE_BITMAP(logged, SPLICE_VM_CHUNK_PAGES);
};

/**
 * struct splice_vm_record - pages written or dropped and not yet asked for
 * @lock: innermost of all; taken in any context that may run a notifier
 * @chunks: struct splice_vm_chunk by index
 * @logged: ranges that are logged as a whole
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
struct splice_vm_record {
	spinlock_t lock; /* all below */
	struct rb_root chunks;
	struct splice_vm_range_set logged;
	struct splice_vm_range_set unmapped;
	struct splice_vm_range_pool ranges;
	struct list_head pool;
	unsigned int nr_pool;
	unsigned int nr_chunks;
	u64 overflows;
};

int splice_vm_record_cache_create(void);
void splice_vm_record_cache_destroy(void);

void splice_vm_record_init(struct splice_vm_record *rec);
void splice_vm_record_destroy(struct splice_vm_record *rec);
int splice_vm_record_reserve(struct splice_vm_record *rec, unsigned int chunks,
			     unsigned int ranges);
void splice_vm_record_log(struct splice_vm_record *rec, unsigned long start,
			  unsigned long end);
void splice_vm_record_written(struct splice_vm_record *rec, unsigned long start,
			      unsigned long end);
void splice_vm_record_unmap(struct splice_vm_record *rec, unsigned long start,
			    unsigned long end);
bool splice_vm_record_unmapped_touches(struct splice_vm_record *rec,
				       unsigned long start, unsigned long end);
void splice_vm_record_log_unmapped(struct splice_vm_record *rec);
void splice_vm_record_move(struct splice_vm_record *to,
			   struct splice_vm_record *from, unsigned long start,
			   unsigned long end);
bool splice_vm_record_peek(struct splice_vm_record *rec, unsigned long index,
			   struct splice_vm_chunk *out);
void splice_vm_record_dirty(struct splice_vm_record *rec, unsigned long index,
			    const unsigned long *dirty,
			    const unsigned long *held);
bool splice_vm_record_next(struct splice_vm_record *rec, unsigned long addr,
			   unsigned long *next, unsigned long *gap_end);
void splice_vm_record_cut(struct splice_vm_record *rec, unsigned long start,
			  unsigned long end);
void splice_vm_record_take(struct splice_vm_record *rec, unsigned long index,
			   struct splice_vm_chunk *out);
void splice_vm_record_put_back(struct splice_vm_record *rec,
			       const struct splice_vm_chunk *chunk,
			       unsigned int from, unsigned int to);

#endif
