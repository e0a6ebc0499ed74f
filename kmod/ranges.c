// SPDX-License-Identifier: GPL-2.0
/* Sets of ranges of addresses, of a bounded size: they forget detail, never an address. */
#include "ranges.h"

static bool splice_vm_range_touches(const struct splice_vm_range *range,
				    unsigned long start, unsigned long end)
{
	return start <= range->end && range->start <= end;
}

/**
 * splice_vm_ranges_add() - take in a range
 * @set: the set
 * @start: first byte, page aligned
 * @end: byte after the last
 *
 * Return: false when detail was given up: the set is full, so more was taken in
 */
bool splice_vm_ranges_add(struct splice_vm_range_set *set,
			  unsigned long start, unsigned long end)
{
	struct splice_vm_range *last = NULL;
	bool full = set->nr == SPLICE_VM_RECORD_RANGES, touches;

	if (set->nr)
		last = &set->ranges[set->nr - 1];
	touches = last && splice_vm_range_touches(last, start, end);
	if (!full && !touches) {
		set->ranges[set->nr++] = (struct splice_vm_range){ start, end };
		return true;
	}
	last->start = min(last->start, start);
	last->end = max(last->end, end);
	return touches;
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
	unsigned int i;

	for (i = 0; i < set->nr; i++)
		if (splice_vm_range_touches(&set->ranges[i], start, end))
			return true;
	return false;
}

/**
 * splice_vm_ranges_collect() - which pages of a chunk are in the set
 * @set: the set
 * @base: address of the chunk
 * @pages: bits of those that are in it are set
 */
void splice_vm_ranges_collect(const struct splice_vm_range_set *set,
			      unsigned long base, unsigned long *pages)
{
	unsigned long limit = base + SPLICE_VM_CHUNK_SIZE;
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		unsigned long start = max(set->ranges[i].start, base);
		unsigned long end = min(set->ranges[i].end, limit);

		if (start < end)
			bitmap_set(pages, splice_vm_chunk_bit(start),
				   (end - start) >> PAGE_SHIFT);
	}
}

/* Takes [start, end) out of range @i; what is left of it above @end is added. */
static void splice_vm_range_cut(struct splice_vm_range_set *set, unsigned int i,
				unsigned long start, unsigned long end)
{
	struct splice_vm_range *range = &set->ranges[i];
	struct splice_vm_range above = { end, range->end };

	if (start <= range->start) {
		range->start = min(end, range->end);
		return;
	}
	if (above.start < above.end) {
		/* Without room the range stays whole: reported again, not lost. */
		if (set->nr == SPLICE_VM_RECORD_RANGES)
			return;
		set->ranges[set->nr++] = above;
	}
	range->end = start;
}

/**
 * splice_vm_ranges_cut() - take a range out
 * @set: the set
 * @start: first byte
 * @end: byte after the last
 *
 * Where there is no room for what is left of a range on both sides, it stays whole.
 */
void splice_vm_ranges_cut(struct splice_vm_range_set *set, unsigned long start,
			  unsigned long end)
{
	unsigned int i, nr = set->nr;

	for (i = 0; i < nr; i++)
		if (set->ranges[i].start < end && set->ranges[i].end > start)
			splice_vm_range_cut(set, i, start, end);
	for (i = 0; i < set->nr;) {
		if (set->ranges[i].start < set->ranges[i].end)
			i++;
		else
			set->ranges[i] = set->ranges[--set->nr];
	}
}
