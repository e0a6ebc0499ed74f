// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of ranges of addresses, in a tree by address. A set allocates nothing: its ranges come from
 * a pool. Without a free one a set forgets detail, never an address.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "ranges.h"

void splice_vm_range_pool_init(struct splice_vm_range_pool *pool)
{
	pool->blocks = NULL;
	pool->nr = 0;
	INIT_LIST_HEAD(&pool->free);
}

/**
 * splice_vm_range_block_alloc() - more ranges
 * @nr: how many
 *
 * Sleeps. Return: the ranges for splice_vm_range_pool_add(), or NULL
 */
struct splice_vm_range_block *splice_vm_range_block_alloc(unsigned int nr)
{
	struct splice_vm_range_block *block;

	block = kvmalloc(struct_size(block, ranges, nr),
			 GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (block)
		block->nr = nr;
	return block;
}

/**
 * splice_vm_range_pool_add() - more ranges for the sets of a pool
 * @pool: the pool
 * @block: belongs to the pool from now on
 */
void splice_vm_range_pool_add(struct splice_vm_range_pool *pool,
			      struct splice_vm_range_block *block)
{
	unsigned int i;

	block->next = pool->blocks;
	pool->blocks = block;
	pool->nr += block->nr;
	for (i = 0; i < block->nr; i++)
		list_add_tail(&block->ranges[i].free, &pool->free);
}

/* No set of it is used any more. */
void splice_vm_range_pool_free(struct splice_vm_range_pool *pool)
{
	struct splice_vm_range_block *block, *next;

	for (block = pool->blocks; block; block = next) {
		next = block->next;
		kvfree(block);
	}
}

void splice_vm_ranges_init(struct splice_vm_range_set *set,
			   struct splice_vm_range_pool *pool)
{
	set->root = RB_ROOT;
	set->nr = 0;
	set->pool = pool;
}

static struct splice_vm_range *splice_vm_range_next(struct splice_vm_range *range)
{
	return rb_entry_safe(rb_next(&range->node), struct splice_vm_range, node);
}

static bool splice_vm_range_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct splice_vm_range, node)->start <
	       rb_entry(b, struct splice_vm_range, node)->start;
}

/* Return: false when there is no free range */
static bool splice_vm_range_insert(struct splice_vm_range_set *set,
				   unsigned long start, unsigned long end)
{
	struct splice_vm_range *range;

	range = list_first_entry_or_null(&set->pool->free,
					 struct splice_vm_range, free);
	if (range)
		list_del(&range->free);
	else if (!set->nr)
		range = &set->last_resort;
	else
		return false;
	range->start = start;
	range->end = end;
	rb_add(&range->node, &set->root, splice_vm_range_less);
	set->nr++;
	return true;
}

static void splice_vm_range_remove(struct splice_vm_range_set *set,
				   struct splice_vm_range *range)
{
	rb_erase(&range->node, &set->root);
	set->nr--;
	if (range != &set->last_resort)
		list_add(&range->free, &set->pool->free);
}

/* First range that ends at @addr or above. */
static struct splice_vm_range *
splice_vm_ranges_reach(const struct splice_vm_range_set *set,
		       unsigned long addr)
{
	struct rb_node *node = set->root.rb_node;
	struct splice_vm_range *best = NULL;

	/* They do not overlap, so their ends are in order, too. */
	while (node) {
		struct splice_vm_range *range;

		range = rb_entry(node, struct splice_vm_range, node);
		if (range->end < addr) {
			node = node->rb_right;
		} else {
			best = range;
			node = node->rb_left;
		}
	}
	return best;
}

/**
 * splice_vm_ranges_find() - the first range that has something at an address or above
 * @set: the set
 * @addr: the address
 *
 * Return: the range, which may begin below @addr, or NULL
 */
struct splice_vm_range *
splice_vm_ranges_find(const struct splice_vm_range_set *set,
		      unsigned long addr)
{
	return splice_vm_ranges_reach(set, addr + 1);
}

/* Takes in the ranges above that @range touches by now. */
static void splice_vm_range_absorb(struct splice_vm_range_set *set,
				   struct splice_vm_range *range)
{
	struct splice_vm_range *next = splice_vm_range_next(range);

	while (next && next->start <= range->end) {
		range->end = max(range->end, next->end);
		splice_vm_range_remove(set, next);
		next = splice_vm_range_next(range);
	}
}

static void splice_vm_range_grow(struct splice_vm_range_set *set,
				 struct splice_vm_range *range,
				 unsigned long start, unsigned long end)
{
	range->start = min(range->start, start);
	range->end = max(range->end, end);
	splice_vm_range_absorb(set, range);
}

/**
 * splice_vm_ranges_add() - take in a range
 * @set: the set
 * @start: first byte, page aligned
 * @end: byte after the last
 *
 * Return: false when detail was given up: no range was free, so more was taken in
 */
bool splice_vm_ranges_add(struct splice_vm_range_set *set,
			  unsigned long start, unsigned long end)
{
	struct splice_vm_range *range = splice_vm_ranges_reach(set, start);

	if (range && range->start <= end) {
		splice_vm_range_grow(set, range, start, end);
		return true;
	}
	if (splice_vm_range_insert(set, start, end))
		return true;
	/* The neighbour above, or where there is none, the last one. */
	if (!range)
		range = rb_entry(rb_last(&set->root), struct splice_vm_range,
				 node);
	splice_vm_range_grow(set, range, start, end);
	return false;
}

/**
 * splice_vm_ranges_touch() - is something of the set in a range, or next to it
 * @set: the set
 * @start: first byte
 * @end: byte after the last
 */
bool splice_vm_ranges_touch(const struct splice_vm_range_set *set,
			    unsigned long start, unsigned long end)
{
	struct splice_vm_range *range = splice_vm_ranges_reach(set, start);

	return range && range->start <= end;
}

/**
 * splice_vm_ranges_collect() - which pages of a chunk are in the set
 * @set: the set
 * @base: address of the chunk
 * @pages: bits of pages in the set are set
 */
void splice_vm_ranges_collect(const struct splice_vm_range_set *set,
			      unsigned long base, unsigned long *pages)
{
	struct splice_vm_range *range = splice_vm_ranges_find(set, base);
	unsigned long limit = base + SPLICE_VM_CHUNK_SIZE;

	for (; range && range->start < limit;
	     range = splice_vm_range_next(range)) {
		unsigned long start = max(range->start, base);
		unsigned long end = min(range->end, limit);

		bitmap_set(pages, splice_vm_chunk_bit(start),
			   (end - start) >> PAGE_SHIFT);
	}
}

/* Takes [start, end) out of a range that overlaps it. Return: false when that needs a free range */
static bool splice_vm_range_cut(struct splice_vm_range_set *set,
				struct splice_vm_range *range,
				unsigned long start, unsigned long end)
{
	unsigned long old_end = range->end;

	if (start <= range->start && end >= range->end) {
		splice_vm_range_remove(set, range);
	} else if (start <= range->start) {
		range->start = end;
	} else {
		range->end = start;
		if (end < old_end && !splice_vm_range_insert(set, end, old_end)) {
			range->end = old_end;
			return false;
		}
	}
	return true;
}

/**
 * splice_vm_ranges_cut() - take a range out
 * @set: the set
 * @start: first byte
 * @end: byte after the last
 *
 * A cut in the middle of a range needs a free one. Where there is none the range stays whole:
 * its pages are reported again, not lost.
 */
void splice_vm_ranges_cut(struct splice_vm_range_set *set, unsigned long start,
			  unsigned long end)
{
	struct splice_vm_range *range = splice_vm_ranges_find(set, start);

	while (range && range->start < end &&
	       splice_vm_range_cut(set, range, start, end))
		range = splice_vm_ranges_find(set, start);
}
