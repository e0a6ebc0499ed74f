/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_RANGES_H
#define SPLICE_VM_RANGES_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rbtree.h>

/* A chunk is what one page table maps, so that a walk fills it in one go. */
#define SPLICE_VM_CHUNK_SHIFT	PMD_SHIFT
#define SPLICE_VM_CHUNK_SIZE	PMD_SIZE
#define SPLICE_VM_CHUNK_PAGES	PTRS_PER_PTE

/**
 * struct splice_vm_range - a range of addresses
 * @node: in its set
 * @free: in the pool instead, while unused
 * @start: first byte, page aligned
 * @end: byte after the last, page aligned
 */
struct splice_vm_range {
	union {
		struct rb_node node;
		struct list_head free;
	};
	unsigned long start;
	unsigned long end;
};

/**
 * struct splice_vm_range_block - ranges that were allocated together
 * @next: another block, or NULL
 * @nr: length of @ranges
 * @ranges: each in a set or free
 */
struct splice_vm_range_block {
	struct splice_vm_range_block *next;
	unsigned int nr;
	struct splice_vm_range ranges[];
};

/**
 * struct splice_vm_range_pool - ranges allocated in advance; the owner's lock covers it
 * @blocks: all of them
 * @nr: ranges in all blocks
 * @free: those in no set
 */
struct splice_vm_range_pool {
	struct splice_vm_range_block *blocks;
	unsigned int nr;
	struct list_head free;
};

/**
 * struct splice_vm_range_set - ranges in order of addresses; the owner's lock covers it
 * @root: neither overlap nor touch each other
 * @nr: how many
 * @pool: where they come from. When it is empty a neighbour grows over what lies between
 * @last_resort: the range of a set that would else be empty, when the pool is
 *
 * A plain rbtree by start, not the kernel's interval tree. That tree is for intervals that overlap:
 * each node carries the highest end below itself, which each insertion and removal updates along
 * the path to the root. The ranges of a set do not overlap, so their ends are in the order of their
 * starts, and one descent finds the first range that reaches an address. A range that grows over
 * its neighbours stays where it is in the rbtree; an interval tree would have to take it out and
 * put it in again, since its key and its end change.
 *
 * The notifier holds the owner's spinlock for one descent. It holds the lock longer only where a
 * range takes in others, each of which an earlier event had put in.
 */
struct splice_vm_range_set {
	struct rb_root root;
	unsigned int nr;
	struct splice_vm_range_pool *pool;
	struct splice_vm_range last_resort;
};

/* Which page of its chunk an address is in. */
static inline unsigned int splice_vm_chunk_bit(unsigned long addr)
{
	return (addr >> PAGE_SHIFT) & (SPLICE_VM_CHUNK_PAGES - 1);
}

void splice_vm_range_pool_init(struct splice_vm_range_pool *pool);
struct splice_vm_range_block *splice_vm_range_block_alloc(unsigned int nr);
void splice_vm_range_pool_add(struct splice_vm_range_pool *pool,
			      struct splice_vm_range_block *block);
void splice_vm_range_pool_free(struct splice_vm_range_pool *pool);

void splice_vm_ranges_init(struct splice_vm_range_set *set,
			   struct splice_vm_range_pool *pool);
bool splice_vm_ranges_add(struct splice_vm_range_set *set,
			  unsigned long start, unsigned long end);
struct splice_vm_range *
splice_vm_ranges_find(const struct splice_vm_range_set *set,
		      unsigned long addr);
bool splice_vm_ranges_touch(const struct splice_vm_range_set *set,
			    unsigned long start, unsigned long end);
void splice_vm_ranges_collect(const struct splice_vm_range_set *set,
			      unsigned long base, unsigned long *pages);
void splice_vm_ranges_cut(struct splice_vm_range_set *set, unsigned long start,
			  unsigned long end);

#endif
