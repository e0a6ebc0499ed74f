/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_CHUNKS_H
#define SPLICE_VM_CHUNKS_H

#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/rbtree.h>

#include "ranges.h"

#define SPLICE_VM_CHUNK_WORDS	BITS_TO_LONGS(SPLICE_VM_CHUNK_PAGES)

/**
 * struct splice_vm_chunk - the pages of one page table, in a dirty log
 * @node: in splice_vm_chunk_set.root, by @index
 * @list: in splice_vm_chunk_set.pool instead, while unused, or in a list of the function that
 *	took the chunk off the set
 * @index: address >> SPLICE_VM_CHUNK_SHIFT
 * @dirty: pages that were written in an epoch that ended
 * @extra_refs: pages of @dirty that are in it because of extra references only
 * @recheck: pages that may have been dropped or replaced: SCAN looks at the page table
 */
struct splice_vm_chunk {
	union {
		struct rb_node node;
		struct list_head list;
	};
	unsigned long index;
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES);
	DECLARE_BITMAP(extra_refs, SPLICE_VM_CHUNK_PAGES);
	DECLARE_BITMAP(recheck, SPLICE_VM_CHUNK_PAGES);
};

/**
 * struct splice_vm_chunk_set - chunks in order of addresses; the owner's lock covers it
 * @root: struct splice_vm_chunk by index
 * @pool: chunks that were allocated in advance; callbacks allocate nothing, so that a target
 *	cannot fill memory
 * @nr: how many are in @root
 * @nr_pool: how many are in @pool
 *
 * A chunk that a function took off with splice_vm_chunks_take() is in neither of the two. The
 * function owns that chunk, and gives the chunk back before the function returns.
 */
struct splice_vm_chunk_set {
	struct rb_root root;
	struct list_head pool;
	unsigned int nr;
	unsigned int nr_pool;
};

static inline unsigned long splice_vm_chunk_base(const struct splice_vm_chunk *chunk)
{
	return chunk->index << SPLICE_VM_CHUNK_SHIFT;
}

/* Address of the first page that word @word of the bitmaps is about. */
static inline unsigned long splice_vm_chunk_word_addr(const struct splice_vm_chunk *chunk,
						      unsigned int word)
{
	return splice_vm_chunk_base(chunk) + ((unsigned long)word * BITS_PER_LONG << PAGE_SHIFT);
}

static inline struct splice_vm_chunk *splice_vm_chunk_next(struct splice_vm_chunk *chunk)
{
	return rb_entry_safe(rb_next(&chunk->node), struct splice_vm_chunk, node);
}

void splice_vm_chunk_merge(struct splice_vm_chunk *chunk, const unsigned long *dirty,
			   const unsigned long *extra_refs);
void splice_vm_chunk_clear(struct splice_vm_chunk *chunk, unsigned int from,
			   unsigned int to);

void splice_vm_chunks_init(struct splice_vm_chunk_set *set);
void splice_vm_chunks_give(struct splice_vm_chunk_set *set, struct splice_vm_chunk *chunk);
struct splice_vm_chunk *splice_vm_chunks_find(const struct splice_vm_chunk_set *set,
					      unsigned long index);
struct splice_vm_chunk *splice_vm_chunks_make(struct splice_vm_chunk_set *set,
					      unsigned long index);
void splice_vm_chunks_take(struct splice_vm_chunk_set *set, struct splice_vm_chunk *chunk);
void splice_vm_chunks_put_back(struct splice_vm_chunk_set *set,
			       struct splice_vm_chunk *chunk);

#endif
