// SPDX-License-Identifier: GPL-2.0
/*
 * What was written or dropped, until SCAN takes it. Small things are bits in
 * chunks, which a tree keeps in order; large ranges stay ranges. Called from MMU
 * notifiers: nothing here sleeps but the functions that say so.
 */
#include <linux/slab.h>

#include "record.h"

static struct kmem_cache *splice_vm_chunk_cache;

int splice_vm_record_cache_create(void)
{
	splice_vm_chunk_cache = KMEM_CACHE(splice_vm_chunk, 0);
	return splice_vm_chunk_cache ? 0 : -ENOMEM;
}

void splice_vm_record_cache_destroy(void)
{
	kmem_cache_destroy(splice_vm_chunk_cache);
}

void splice_vm_record_init(struct splice_vm_record *rec)
{
	spin_lock_init(&rec->lock);
	rec->chunks = RB_ROOT;
	INIT_LIST_HEAD(&rec->pool);
	splice_vm_range_pool_init(&rec->ranges);
	splice_vm_ranges_init(&rec->logged, &rec->ranges);
	splice_vm_ranges_init(&rec->unmapped, &rec->ranges);
}

/* No callback may run any more. Sleeps: there are a million chunks to a TiB. */
void splice_vm_record_destroy(struct splice_vm_record *rec)
{
	struct splice_vm_chunk *chunk, *next;

	rbtree_postorder_for_each_entry_safe(chunk, next, &rec->chunks, node) {
		kmem_cache_free(splice_vm_chunk_cache, chunk);
		cond_resched();
	}
	list_for_each_entry_safe(chunk, next, &rec->pool, free) {
		kmem_cache_free(splice_vm_chunk_cache, chunk);
		cond_resched();
	}
	splice_vm_range_pool_free(&rec->ranges);
}

/* A block is taken over with the lock held: not too many at a time. */
#define SPLICE_VM_RECORD_BLOCK	1024U

static int splice_vm_record_reserve_ranges(struct splice_vm_record *rec,
					   unsigned int nr)
{
	struct splice_vm_range_block *block;

	/* Only this function changes the number. */
	while (rec->ranges.nr < nr) {
		block = splice_vm_range_block_alloc(SPLICE_VM_RECORD_BLOCK);
		if (!block)
			return -ENOMEM;
		spin_lock(&rec->lock);
		splice_vm_range_pool_add(&rec->ranges, block);
		spin_unlock(&rec->lock);
		cond_resched();
	}
	return 0;
}

/**
 * splice_vm_record_reserve() - have memory ready for callbacks, which cannot wait
 * @rec: the record
 * @chunks: so many in all, those in use included
 * @ranges: the same
 *
 * Sleeps; one caller at a time. Return: 0 or -ENOMEM; what could be had stays
 */
int splice_vm_record_reserve(struct splice_vm_record *rec, unsigned int chunks,
			     unsigned int ranges)
{
	struct splice_vm_chunk *chunk;
	bool enough;

	if (splice_vm_record_reserve_ranges(rec, ranges))
		return -ENOMEM;
	for (;;) {
		spin_lock(&rec->lock);
		enough = rec->nr_pool + rec->nr_chunks >= chunks;
		spin_unlock(&rec->lock);
		if (enough)
			return 0;

		chunk = kmem_cache_alloc(splice_vm_chunk_cache,
					 GFP_KERNEL_ACCOUNT);
		if (!chunk)
			return -ENOMEM;
		spin_lock(&rec->lock);
		list_add(&chunk->free, &rec->pool);
		rec->nr_pool++;
		spin_unlock(&rec->lock);
		cond_resched();
	}
}

static struct splice_vm_chunk *
splice_vm_chunk_get(struct splice_vm_record *rec)
{
	struct splice_vm_chunk *chunk;

	lockdep_assert_held(&rec->lock);
	chunk = list_first_entry_or_null(&rec->pool, struct splice_vm_chunk,
					 free);
	if (!chunk)
		return NULL;
	list_del(&chunk->free);
	rec->nr_pool--;
	memset(chunk, 0, sizeof(*chunk));
	return chunk;
}

/* First chunk with an index of at least @index. */
static struct splice_vm_chunk *
splice_vm_chunk_find(struct splice_vm_record *rec, unsigned long index)
{
	struct rb_node *node = rec->chunks.rb_node;
	struct splice_vm_chunk *best = NULL;

	lockdep_assert_held(&rec->lock);
	while (node) {
		struct splice_vm_chunk *chunk;

		chunk = rb_entry(node, struct splice_vm_chunk, node);
		if (chunk->index < index) {
			node = node->rb_right;
		} else {
			best = chunk;
			node = node->rb_left;
		}
	}
	return best;
}

/* The chunk of @index, made when there is none; NULL when the pool is empty. */
static struct splice_vm_chunk *
splice_vm_chunk_make(struct splice_vm_record *rec, unsigned long index)
{
	struct rb_node **link = &rec->chunks.rb_node, *parent = NULL;
	struct splice_vm_chunk *chunk;

	lockdep_assert_held(&rec->lock);
	while (*link) {
		parent = *link;
		chunk = rb_entry(parent, struct splice_vm_chunk, node);
		if (chunk->index == index)
			return chunk;
		link = index < chunk->index ? &parent->rb_left :
					      &parent->rb_right;
	}

	chunk = splice_vm_chunk_get(rec);
	if (!chunk)
		return NULL;
	chunk->index = index;
	rb_link_node(&chunk->node, parent, link);
	rb_insert_color(&chunk->node, &rec->chunks);
	rec->nr_chunks++;
	return chunk;
}

static void splice_vm_log_range(struct splice_vm_record *rec,
				unsigned long start, unsigned long end)
{
	lockdep_assert_held(&rec->lock);
	if (!splice_vm_ranges_add(&rec->logged, start, end))
		rec->overflows++;
}

/* The chunk, or NULL when there is none to be had. */
static struct splice_vm_chunk *
splice_vm_log_in_chunk(struct splice_vm_record *rec, unsigned long start,
		       unsigned long end)
{
	struct splice_vm_chunk *chunk;

	chunk = splice_vm_chunk_make(rec, start >> SPLICE_VM_CHUNK_SHIFT);
	if (!chunk) {
		rec->overflows++;
		splice_vm_log_range(rec, start, end);
	} else {
		bitmap_set(chunk->logged, splice_vm_chunk_bit(start),
			   (end - start) >> PAGE_SHIFT);
	}
	return chunk;
}

/**
 * splice_vm_record_log() - these pages may have been dropped, replaced or be new
 * @rec: the record
 * @start: first byte, page aligned
 * @end: byte after the last
 */
void splice_vm_record_log(struct splice_vm_record *rec, unsigned long start,
			  unsigned long end)
{
	unsigned long mid = ALIGN(start + 1, SPLICE_VM_CHUNK_SIZE);

	if (start >= end)
		return;
	spin_lock(&rec->lock);
	if (end - start >= SPLICE_VM_CHUNK_SIZE) {
		splice_vm_log_range(rec, start, end);
	} else if (end <= mid) {
		splice_vm_log_in_chunk(rec, start, end);
	} else {
		splice_vm_log_in_chunk(rec, start, mid);
		splice_vm_log_in_chunk(rec, mid, end);
	}
	spin_unlock(&rec->lock);
}

/* Return: false when there was no memory for a chunk: it was noted as a range */
static bool splice_vm_record_written_chunk(struct splice_vm_record *rec,
					   unsigned long start,
					   unsigned long end)
{
	unsigned int first = splice_vm_chunk_bit(start);
	unsigned int nr = (end - start) >> PAGE_SHIFT;
	struct splice_vm_chunk *chunk;

	spin_lock(&rec->lock);
	chunk = splice_vm_log_in_chunk(rec, start, end);
	if (chunk) {
		bitmap_set(chunk->dirty, first, nr);
		bitmap_clear(chunk->held, first, nr);
	}
	spin_unlock(&rec->lock);
	return chunk;
}

/**
 * splice_vm_record_written() - these pages were written; some may be holes
 * @rec: the record
 * @start: first byte, page aligned
 * @end: byte after the last
 *
 * Sleeps.
 */
void splice_vm_record_written(struct splice_vm_record *rec, unsigned long start,
			      unsigned long end)
{
	bool chunks = true;

	while (start < end && chunks) {
		unsigned long next = ALIGN(start + 1, SPLICE_VM_CHUNK_SIZE);

		next = min(next, end);
		chunks = splice_vm_record_written_chunk(rec, start, next);
		start = next;
		cond_resched();
	}
	splice_vm_record_log(rec, start, end);
}

/**
 * splice_vm_record_unmap() - these pages are being unmapped
 * @rec: the record
 * @start: first byte, page aligned
 * @end: byte after the last
 */
void splice_vm_record_unmap(struct splice_vm_record *rec, unsigned long start,
			    unsigned long end)
{
	spin_lock(&rec->lock);
	if (!splice_vm_ranges_add(&rec->unmapped, start, end))
		rec->overflows++;
	spin_unlock(&rec->lock);
}

/**
 * splice_vm_record_unmapped_touches() - was something unmapped there in the running epoch
 * @rec: the record
 * @start: first byte
 * @end: byte after the last; what begins there counts, and what ends at @start
 */
bool splice_vm_record_unmapped_touches(struct splice_vm_record *rec,
				       unsigned long start, unsigned long end)
{
	bool touches;

	spin_lock(&rec->lock);
	touches = splice_vm_ranges_touch(&rec->unmapped, start, end);
	spin_unlock(&rec->lock);
	return touches;
}

/**
 * splice_vm_record_log_unmapped() - an epoch ends: look again at what it unmapped
 * @rec: the record
 *
 * Sleeps; the lock is given back after each range.
 */
void splice_vm_record_log_unmapped(struct splice_vm_record *rec)
{
	struct splice_vm_range *range;
	unsigned long start, end = 0;

	do {
		spin_lock(&rec->lock);
		range = splice_vm_ranges_find(&rec->unmapped, end);
		if (range) {
			start = range->start;
			end = range->end;
			splice_vm_ranges_cut(&rec->unmapped, start, end);
			splice_vm_log_range(rec, start, end);
		}
		spin_unlock(&rec->lock);
		cond_resched();
	} while (range);
}

/**
 * splice_vm_record_peek() - copy a chunk and leave it there
 * @rec: the record
 * @index: the first one at or above this
 * @out: filled; what ranges say of it is in @out->logged
 *
 * Return: false when there is none
 */
bool splice_vm_record_peek(struct splice_vm_record *rec, unsigned long index,
			   struct splice_vm_chunk *out)
{
	struct splice_vm_chunk *chunk;

	spin_lock(&rec->lock);
	chunk = splice_vm_chunk_find(rec, index);
	if (chunk) {
		memcpy(out, chunk, sizeof(*out));
		splice_vm_ranges_collect(&rec->logged,
					 chunk->index << SPLICE_VM_CHUNK_SHIFT,
					 out->logged);
	}
	spin_unlock(&rec->lock);
	return chunk;
}

/**
 * splice_vm_record_dirty() - these pages were written
 * @rec: the record
 * @index: of the chunk
 * @dirty: bitmap of the chunk's pages
 * @held: bitmap: of @dirty those that are so for references only
 */
void splice_vm_record_dirty(struct splice_vm_record *rec, unsigned long index,
			    const unsigned long *dirty,
			    const unsigned long *held)
{
	struct splice_vm_chunk *chunk;
	unsigned int i;

	spin_lock(&rec->lock);
	chunk = splice_vm_chunk_make(rec, index);
	if (chunk) {
		/* A page that was written in any epoch is not merely held. */
		for (i = 0; i < BITS_TO_LONGS(SPLICE_VM_CHUNK_PAGES); i++) {
			unsigned long written;

			written = (chunk->dirty[i] & ~chunk->held[i]) |
				  (dirty[i] & ~held[i]);
			chunk->dirty[i] |= dirty[i];
			chunk->held[i] = chunk->dirty[i] & ~written;
		}
	} else {
		rec->overflows++;
		splice_vm_log_range(rec, index << SPLICE_VM_CHUNK_SHIFT,
				    (index + 1) << SPLICE_VM_CHUNK_SHIFT);
	}
	spin_unlock(&rec->lock);
}

/* Of one chunk, what lies in [addr, end). Return: where the next chunk begins */
static unsigned long
splice_vm_record_move_chunk(struct splice_vm_record *to,
			    struct splice_vm_record *from, unsigned long addr,
			    unsigned long end)
{
	unsigned long index = addr >> SPLICE_VM_CHUNK_SHIFT;
	unsigned long base = index << SPLICE_VM_CHUNK_SHIFT;
	unsigned int first = splice_vm_chunk_bit(addr);
	unsigned int last = min(end - base, SPLICE_VM_CHUNK_SIZE) >> PAGE_SHIFT;
	struct splice_vm_chunk chunk;

	splice_vm_record_take(from, index, &chunk);
	splice_vm_record_put_back(from, &chunk, 0, first);
	splice_vm_record_put_back(from, &chunk, last, SPLICE_VM_CHUNK_PAGES);
	/* While there was no memory for the chunk it was noted as a range, for whatever. */
	bitmap_or(chunk.dirty, chunk.dirty, chunk.logged,
		  SPLICE_VM_CHUNK_PAGES);
	bitmap_andnot(chunk.held, chunk.held, chunk.logged,
		      SPLICE_VM_CHUNK_PAGES);
	bitmap_clear(chunk.dirty, 0, first);
	bitmap_clear(chunk.dirty, last, SPLICE_VM_CHUNK_PAGES - last);
	splice_vm_record_dirty(to, index, chunk.dirty, chunk.held);
	return base + SPLICE_VM_CHUNK_SIZE;
}

/**
 * splice_vm_record_move() - what one record holds of a range counts as written in another
 * @to: the other
 * @from: holds nothing of the range afterwards, but for what came meanwhile
 * @start: first byte, page aligned
 * @end: byte after the last
 *
 * Sleeps.
 */
void splice_vm_record_move(struct splice_vm_record *to,
			   struct splice_vm_record *from, unsigned long start,
			   unsigned long end)
{
	unsigned long addr = start, next, gap_end;

	/* Only ever upwards: what comes behind us stays there, or this may have no end. */
	while (splice_vm_record_next(from, addr, &next, &gap_end) &&
	       next < end) {
		if (gap_end > next) {
			gap_end = min(gap_end, end);
			splice_vm_record_log(to, next, gap_end);
			splice_vm_record_cut(from, next, gap_end);
			addr = gap_end;
		} else {
			addr = splice_vm_record_move_chunk(to, from, next, end);
		}
		cond_resched();
	}
}

/**
 * splice_vm_record_next() - where the next thing is
 * @rec: the record
 * @addr: look from here on
 * @next: out: lowest address at or above @addr of which something is recorded
 * @gap_end: out: up to here only ranges are recorded, no chunk, and all of it
 *	from @next on is in one range; @next where a chunk is recorded
 *
 * Return: false when there is nothing
 */
bool splice_vm_record_next(struct splice_vm_record *rec, unsigned long addr,
			   unsigned long *next, unsigned long *gap_end)
{
	unsigned long chunk_start = ULONG_MAX;
	struct splice_vm_range *range;
	struct splice_vm_chunk *chunk;

	*next = ULONG_MAX;
	*gap_end = 0;
	spin_lock(&rec->lock);
	chunk = splice_vm_chunk_find(rec, addr >> SPLICE_VM_CHUNK_SHIFT);
	if (chunk)
		chunk_start = max(addr, chunk->index << SPLICE_VM_CHUNK_SHIFT);
	range = splice_vm_ranges_find(&rec->logged, addr);
	if (range) {
		*next = max(range->start, addr);
		*gap_end = range->end;
	}
	spin_unlock(&rec->lock);

	if (chunk_start <= *next) {
		*next = chunk_start;
		*gap_end = chunk_start;
	} else {
		*gap_end = min(*gap_end, chunk_start);
	}
	return *next != ULONG_MAX;
}

/**
 * splice_vm_record_cut() - forget what ranges say of these addresses
 * @rec: the record
 * @start: first byte
 * @end: byte after the last
 */
void splice_vm_record_cut(struct splice_vm_record *rec, unsigned long start,
			  unsigned long end)
{
	spin_lock(&rec->lock);
	splice_vm_ranges_cut(&rec->logged, start, end);
	spin_unlock(&rec->lock);
}

/**
 * splice_vm_record_take() - all that is recorded of one chunk; it is forgotten here
 * @rec: the record
 * @index: of the chunk
 * @out: filled
 */
void splice_vm_record_take(struct splice_vm_record *rec, unsigned long index,
			   struct splice_vm_chunk *out)
{
	unsigned long base = index << SPLICE_VM_CHUNK_SHIFT;
	struct splice_vm_chunk *chunk;

	memset(out, 0, sizeof(*out));
	spin_lock(&rec->lock);
	chunk = splice_vm_chunk_find(rec, index);
	if (chunk && chunk->index == index) {
		rb_erase(&chunk->node, &rec->chunks);
		rec->nr_chunks--;
		memcpy(out, chunk, sizeof(*out));
		list_add(&chunk->free, &rec->pool);
		rec->nr_pool++;
	}
	out->index = index;
	splice_vm_ranges_collect(&rec->logged, base, out->logged);
	splice_vm_ranges_cut(&rec->logged, base, base + SPLICE_VM_CHUNK_SIZE);
	spin_unlock(&rec->lock);
}

/**
 * splice_vm_record_put_back() - a part of a taken chunk was not reported
 * @rec: the record
 * @chunk: as splice_vm_record_take() filled it
 * @from: first page of the chunk that was not reported
 * @to: page after the last one
 */
void splice_vm_record_put_back(struct splice_vm_record *rec,
			       const struct splice_vm_chunk *chunk,
			       unsigned int from, unsigned int to)
{
	unsigned long base = chunk->index << SPLICE_VM_CHUNK_SHIFT;
	DECLARE_BITMAP(rest, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(part, SPLICE_VM_CHUNK_PAGES);
	unsigned int first, last;

	if (from >= to)
		return;
	bitmap_set(rest, from, to - from);
	if (bitmap_and(part, chunk->dirty, rest, SPLICE_VM_CHUNK_PAGES))
		splice_vm_record_dirty(rec, chunk->index, part, chunk->held);
	if (!bitmap_and(part, chunk->logged, rest, SPLICE_VM_CHUNK_PAGES))
		return;

	spin_lock(&rec->lock);
	for_each_set_bitrange(first, last, part, SPLICE_VM_CHUNK_PAGES)
		splice_vm_log_in_chunk(rec, base +
				       ((unsigned long)first << PAGE_SHIFT),
				       base + ((unsigned long)last << PAGE_SHIFT));
	spin_unlock(&rec->lock);
}
