// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log of a session: pages that were written or dropped, until SCAN takes them. Pages are
 * bits in chunks, which a tree keeps in order; ranges of 2 MiB and more stay ranges. MMU notifiers
 * call these functions: a function that sleeps says so.
 */
#include "dirty_log.h"

static void splice_vm_dirty_log_recheck_range(struct splice_vm_dirty_log *log,
					      unsigned long start, unsigned long end)
{
	lockdep_assert_held(&log->lock);
	if (!splice_vm_ranges_add(&log->recheck, start, end))
		log->overflows++;
}

/* The chunk, or NULL when there is none to be had. */
static struct splice_vm_chunk *
splice_vm_dirty_log_recheck_chunk(struct splice_vm_dirty_log *log, unsigned long start,
				  unsigned long end)
{
	struct splice_vm_chunk *chunk;

	chunk = splice_vm_chunks_make(&log->chunks, start >> SPLICE_VM_CHUNK_SHIFT);
	if (!chunk) {
		log->overflows++;
		splice_vm_dirty_log_recheck_range(log, start, end);
	} else {
		bitmap_set(chunk->recheck, splice_vm_chunk_bit(start),
			   (end - start) >> PAGE_SHIFT);
	}
	return chunk;
}

/**
 * splice_vm_dirty_log_recheck() - these pages may have been dropped, replaced or be new
 * @log: the log
 * @start: first byte, page aligned
 * @end: byte after the last
 */
void splice_vm_dirty_log_recheck(struct splice_vm_dirty_log *log, unsigned long start,
				 unsigned long end)
{
	unsigned long mid = ALIGN(start + 1, SPLICE_VM_CHUNK_SIZE);

	if (start >= end)
		return;
	spin_lock(&log->lock);
	if (end - start >= SPLICE_VM_CHUNK_SIZE) {
		splice_vm_dirty_log_recheck_range(log, start, end);
	} else if (end <= mid) {
		splice_vm_dirty_log_recheck_chunk(log, start, end);
	} else {
		splice_vm_dirty_log_recheck_chunk(log, start, mid);
		splice_vm_dirty_log_recheck_chunk(log, mid, end);
	}
	spin_unlock(&log->lock);
}

/* Return: false when there was no memory for a chunk: it was noted as a range */
static bool splice_vm_dirty_log_written_chunk(struct splice_vm_dirty_log *log,
					      unsigned long start,
					      unsigned long end)
{
	unsigned int first = splice_vm_chunk_bit(start);
	unsigned int nr = (end - start) >> PAGE_SHIFT;
	struct splice_vm_chunk *chunk;

	spin_lock(&log->lock);
	chunk = splice_vm_dirty_log_recheck_chunk(log, start, end);
	if (chunk) {
		bitmap_set(chunk->dirty, first, nr);
		bitmap_clear(chunk->extra_refs, first, nr);
	}
	spin_unlock(&log->lock);
	return chunk;
}

/**
 * splice_vm_dirty_log_written() - these pages were written; some may be holes
 * @log: the log
 * @start: first byte, page aligned
 * @end: byte after the last
 *
 * Sleeps.
 */
void splice_vm_dirty_log_written(struct splice_vm_dirty_log *log, unsigned long start,
				 unsigned long end)
{
	bool chunks = true;

	while (start < end && chunks) {
		unsigned long next = ALIGN(start + 1, SPLICE_VM_CHUNK_SIZE);

		next = min(next, end);
		chunks = splice_vm_dirty_log_written_chunk(log, start, next);
		start = next;
		cond_resched();
	}
	splice_vm_dirty_log_recheck(log, start, end);
}

/**
 * splice_vm_dirty_log_unmap() - these pages are being unmapped
 * @log: the log
 * @start: first byte, page aligned
 * @end: byte after the last
 */
void splice_vm_dirty_log_unmap(struct splice_vm_dirty_log *log, unsigned long start,
			       unsigned long end)
{
	spin_lock(&log->lock);
	if (!splice_vm_ranges_add(&log->unmapped, start, end))
		log->overflows++;
	spin_unlock(&log->lock);
}

/**
 * splice_vm_dirty_log_unmapped_touches() - was something unmapped there in the running epoch
 * @log: the log
 * @start: first byte
 * @end: byte after the last; a range that begins there counts, and one that ends at @start
 */
bool splice_vm_dirty_log_unmapped_touches(struct splice_vm_dirty_log *log,
					  unsigned long start, unsigned long end)
{
	bool touches;

	spin_lock(&log->lock);
	touches = splice_vm_ranges_touch(&log->unmapped, start, end);
	spin_unlock(&log->lock);
	return touches;
}

/**
 * splice_vm_dirty_log_recheck_unmapped() - an epoch ends: look again at ranges it unmapped
 * @log: the log
 *
 * Sleeps; the lock is given back after each range.
 */
void splice_vm_dirty_log_recheck_unmapped(struct splice_vm_dirty_log *log)
{
	struct splice_vm_range *range;
	unsigned long start, end = 0;

	do {
		spin_lock(&log->lock);
		range = splice_vm_ranges_find(&log->unmapped, end);
		if (range) {
			start = range->start;
			end = range->end;
			splice_vm_ranges_cut(&log->unmapped, start, end);
			splice_vm_dirty_log_recheck_range(log, start, end);
		}
		spin_unlock(&log->lock);
		cond_resched();
	} while (range);
}

/**
 * splice_vm_dirty_log_peek() - copy a chunk and leave it there
 * @log: the log
 * @index: the first one at or above this
 * @out: filled; pages of it that are in ranges are in @out->recheck
 *
 * Return: false when there is none
 */
bool splice_vm_dirty_log_peek(struct splice_vm_dirty_log *log, unsigned long index,
			      struct splice_vm_chunk *out)
{
	struct splice_vm_chunk *chunk;

	spin_lock(&log->lock);
	chunk = splice_vm_chunks_find(&log->chunks, index);
	if (chunk) {
		memcpy(out, chunk, sizeof(*out));
		splice_vm_ranges_collect(&log->recheck, splice_vm_chunk_base(chunk),
					 out->recheck);
	}
	spin_unlock(&log->lock);
	return chunk;
}

/**
 * splice_vm_dirty_log_add() - these pages were written
 * @log: the log
 * @index: of the chunk
 * @dirty: bitmap of the chunk's pages
 * @held: bitmap: pages of @dirty that are in it because of extra references only
 */
void splice_vm_dirty_log_add(struct splice_vm_dirty_log *log, unsigned long index,
			     const unsigned long *dirty,
			     const unsigned long *held)
{
	struct splice_vm_chunk *chunk;

	spin_lock(&log->lock);
	chunk = splice_vm_chunks_make(&log->chunks, index);
	if (chunk) {
		splice_vm_chunk_merge(chunk, dirty, held);
	} else {
		log->overflows++;
		splice_vm_dirty_log_recheck_range(log, index << SPLICE_VM_CHUNK_SHIFT,
						  (index + 1) << SPLICE_VM_CHUNK_SHIFT);
	}
	spin_unlock(&log->lock);
}

/* Of one chunk, the pages in [addr, end). Return: where the next chunk begins */
static unsigned long
splice_vm_dirty_log_move_chunk(struct splice_vm_dirty_log *to,
			       struct splice_vm_dirty_log *from, unsigned long addr,
			       unsigned long end)
{
	unsigned long index = addr >> SPLICE_VM_CHUNK_SHIFT;
	unsigned long base = index << SPLICE_VM_CHUNK_SHIFT;
	unsigned int first = splice_vm_chunk_bit(addr);
	unsigned int last = min(end - base, SPLICE_VM_CHUNK_SIZE) >> PAGE_SHIFT;
	struct splice_vm_chunk chunk;

	splice_vm_dirty_log_take(from, index, &chunk);
	splice_vm_dirty_log_put_back(from, &chunk, 0, first);
	splice_vm_dirty_log_put_back(from, &chunk, last, SPLICE_VM_CHUNK_PAGES);
	/* Without memory for a chunk its pages became a range, and the log does not know why. */
	bitmap_or(chunk.dirty, chunk.dirty, chunk.recheck,
		  SPLICE_VM_CHUNK_PAGES);
	bitmap_andnot(chunk.extra_refs, chunk.extra_refs, chunk.recheck,
		      SPLICE_VM_CHUNK_PAGES);
	splice_vm_chunk_clear(&chunk, 0, first);
	splice_vm_chunk_clear(&chunk, last, SPLICE_VM_CHUNK_PAGES);
	splice_vm_dirty_log_add(to, index, chunk.dirty, chunk.extra_refs);
	return base + SPLICE_VM_CHUNK_SIZE;
}

/**
 * splice_vm_dirty_log_move() - pages that one log holds count as written in another
 * @to: the other
 * @from: holds nothing of the range afterwards, but for pages that came meanwhile
 * @start: first byte, page aligned
 * @end: byte after the last
 *
 * Sleeps.
 */
void splice_vm_dirty_log_move(struct splice_vm_dirty_log *to,
			      struct splice_vm_dirty_log *from, unsigned long start,
			      unsigned long end)
{
	unsigned long addr = start, next, gap_end;

	/* Only ever upwards: pages that come below @addr stay, or this may have no end. */
	while (splice_vm_dirty_log_next(from, addr, &next, &gap_end) &&
	       next < end) {
		if (gap_end > next) {
			gap_end = min(gap_end, end);
			splice_vm_dirty_log_recheck(to, next, gap_end);
			splice_vm_dirty_log_cut(from, next, gap_end);
			addr = gap_end;
		} else {
			addr = splice_vm_dirty_log_move_chunk(to, from, next, end);
		}
		cond_resched();
	}
}

/**
 * splice_vm_dirty_log_next() - where the next thing is
 * @log: the log
 * @addr: look from here on
 * @next: out: lowest address at or above @addr of which something is recorded
 * @gap_end: out: up to here only ranges are recorded, no chunk, and all of it
 *	from @next on is in one range; @next where a chunk is recorded
 *
 * Return: false when there is nothing
 */
bool splice_vm_dirty_log_next(struct splice_vm_dirty_log *log, unsigned long addr,
			      unsigned long *next, unsigned long *gap_end)
{
	unsigned long chunk_start = ULONG_MAX;
	struct splice_vm_range *range;
	struct splice_vm_chunk *chunk;

	*next = ULONG_MAX;
	*gap_end = 0;
	spin_lock(&log->lock);
	chunk = splice_vm_chunks_find(&log->chunks, addr >> SPLICE_VM_CHUNK_SHIFT);
	if (chunk)
		chunk_start = max(addr, splice_vm_chunk_base(chunk));
	range = splice_vm_ranges_find(&log->recheck, addr);
	if (range) {
		*next = max(range->start, addr);
		*gap_end = range->end;
	}
	spin_unlock(&log->lock);

	if (chunk_start <= *next) {
		*next = chunk_start;
		*gap_end = chunk_start;
	} else {
		*gap_end = min(*gap_end, chunk_start);
	}
	return *next != ULONG_MAX;
}

/**
 * splice_vm_dirty_log_cut() - forget what ranges say of these addresses
 * @log: the log
 * @start: first byte
 * @end: byte after the last
 */
void splice_vm_dirty_log_cut(struct splice_vm_dirty_log *log, unsigned long start,
			     unsigned long end)
{
	spin_lock(&log->lock);
	splice_vm_ranges_cut(&log->recheck, start, end);
	spin_unlock(&log->lock);
}

/**
 * splice_vm_dirty_log_take() - all that is recorded of one chunk; it is forgotten here
 * @log: the log
 * @index: of the chunk
 * @out: filled
 */
void splice_vm_dirty_log_take(struct splice_vm_dirty_log *log, unsigned long index,
			      struct splice_vm_chunk *out)
{
	unsigned long base = index << SPLICE_VM_CHUNK_SHIFT;
	struct splice_vm_chunk *chunk;

	memset(out, 0, sizeof(*out));
	spin_lock(&log->lock);
	chunk = splice_vm_chunks_find(&log->chunks, index);
	if (chunk && chunk->index == index) {
		splice_vm_chunks_take(&log->chunks, chunk);
		memcpy(out, chunk, sizeof(*out));
		splice_vm_chunks_give(&log->chunks, chunk);
	}
	out->index = index;
	splice_vm_ranges_collect(&log->recheck, base, out->recheck);
	splice_vm_ranges_cut(&log->recheck, base, base + SPLICE_VM_CHUNK_SIZE);
	spin_unlock(&log->lock);
}

/**
 * splice_vm_dirty_log_put_back() - a part of a taken chunk was not reported
 * @log: the log
 * @chunk: as splice_vm_dirty_log_take() filled it
 * @from: first page of the chunk that was not reported
 * @to: page after the last one
 */
void splice_vm_dirty_log_put_back(struct splice_vm_dirty_log *log,
				  const struct splice_vm_chunk *chunk,
				  unsigned int from, unsigned int to)
{
	unsigned long base = splice_vm_chunk_base(chunk);
	DECLARE_BITMAP(rest, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(part, SPLICE_VM_CHUNK_PAGES);
	unsigned int first, last;

	if (from >= to)
		return;
	bitmap_set(rest, from, to - from);
	if (bitmap_and(part, chunk->dirty, rest, SPLICE_VM_CHUNK_PAGES))
		splice_vm_dirty_log_add(log, chunk->index, part, chunk->extra_refs);
	if (!bitmap_and(part, chunk->recheck, rest, SPLICE_VM_CHUNK_PAGES))
		return;

	spin_lock(&log->lock);
	for_each_set_bitrange(first, last, part, SPLICE_VM_CHUNK_PAGES)
		splice_vm_dirty_log_recheck_chunk(log, base +
						  ((unsigned long)first << PAGE_SHIFT),
						  base + ((unsigned long)last << PAGE_SHIFT));
	spin_unlock(&log->lock);
}

/**
 * splice_vm_dirty_log_take_chunks() - take chunks off the log, in one hold of its lock
 * @log: the log
 * @start: first byte, page aligned
 * @end: byte after the last
 * @max: at most so many
 * @taken: out: the chunks in order of addresses, for splice_vm_dirty_log_give_chunks()
 *
 * From @start to the end of the last chunk the log has nothing else: no chunk is taken that the
 * border cuts, or that a range lies before or in. Return: how many were taken
 */
unsigned int splice_vm_dirty_log_take_chunks(struct splice_vm_dirty_log *log,
					     unsigned long start, unsigned long end,
					     unsigned int max, struct list_head *taken)
{
	struct splice_vm_chunk *chunk, *next;
	struct splice_vm_range *range;
	unsigned int nr;

	spin_lock(&log->lock);
	range = splice_vm_ranges_find(&log->recheck, start);
	if (range)
		end = min(end, range->start);
	chunk = splice_vm_chunks_find(&log->chunks, start >> SPLICE_VM_CHUNK_SHIFT);
	for (nr = 0; chunk && nr < max; nr++) {
		unsigned long base = splice_vm_chunk_base(chunk);

		if (base < start || base >= end || end - base < SPLICE_VM_CHUNK_SIZE)
			break;
		next = splice_vm_chunk_next(chunk);
		splice_vm_chunks_take(&log->chunks, chunk);
		list_add_tail(&chunk->list, taken);
		chunk = next;
	}
	spin_unlock(&log->lock);
	return nr;
}

/**
 * splice_vm_dirty_log_give_chunks() - give back what splice_vm_dirty_log_take_chunks() took
 * @log: the log
 * @reported: chunks that can be used anew
 * @nr_reported: how many
 * @rest: chunks that are to be reported later
 */
void splice_vm_dirty_log_give_chunks(struct splice_vm_dirty_log *log,
				     struct list_head *reported, unsigned int nr_reported,
				     struct list_head *rest)
{
	struct splice_vm_chunk *chunk, *next;

	spin_lock(&log->lock);
	list_splice(reported, &log->chunks.pool);
	log->chunks.nr_pool += nr_reported;
	list_for_each_entry_safe(chunk, next, rest, list)
		splice_vm_chunks_put_back(&log->chunks, chunk);
	spin_unlock(&log->lock);
}
