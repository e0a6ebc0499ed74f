// SPDX-License-Identifier: GPL-2.0
/*
 * SCAN TRACKED: takes pages off the dirty log, piece by piece, and reports each as DIRTY or
 * DROPPED. A piece leaves the log before SCAN looks at its page tables: a change that comes
 * meanwhile is logged anew. Pages that were not reported go back.
 *
 * Ten thousand drops of a page each are ten thousand page tables to read. So chunks leave the log
 * many at a time, a word of a chunk's bitmaps is looked at as one, and the mapping that was found
 * last is asked first.
 */
#include <linux/mm.h>
#include <linux/splice_vm.h>

#include "scan_tracked.h"
#include "walk.h"

/* Mappings that are passed over instead of reading a page table. */
#define SPLICE_VM_SCAN_SKIPS	8
/* Chunks that leave the log in one hold of its spinlock. */
#define SPLICE_VM_SCAN_CHUNKS	32

/* Up to where from @addr on there can be no content; less where the way there is long. */
static unsigned long splice_vm_scan_gap(struct mm_struct *mm,
					unsigned long addr, unsigned long end)
{
	VMA_ITERATOR(vmi, mm, addr);
	unsigned int skips = SPLICE_VM_SCAN_SKIPS;
	struct vm_area_struct *vma;

	for_each_vma_range(vmi, vma, end) {
		unsigned long from = max(addr, vma->vm_start);
		unsigned long to = min(end, vma->vm_end);

		if (splice_vm_vma_is_opaque(vma))
			return from;
		from = splice_vm_walk_skip(mm, from, to);
		if (from < to || !--skips)
			return from;
	}
	return end;
}

/*
 * Of the pages of one word of a chunk: which have content. @start, @end: the part that one mapping
 * has. Return: bit 0 stands for the page at @start; only pages in @chunk->recheck matter
 */
static unsigned long splice_vm_scan_content_vma(struct splice_vm_scan_call *call,
						const struct splice_vm_chunk *chunk,
						struct vm_area_struct *vma,
						unsigned long start, unsigned long end)
{
	struct splice_vm_window *win = &call->win;
	unsigned long content = 0, found;

	if (splice_vm_vma_is_io(vma))
		return 0;
	if (splice_vm_vma_is_opaque(vma))
		return ULONG_MAX >> (BITS_PER_LONG - ((end - start) >> PAGE_SHIFT));
	win->how = 0;
	win->only = chunk->recheck;
	if (!splice_vm_walk_window(vma, start, end, win))
		return 0;
	for (found = win->found[0]; found; found &= found - 1) {
		unsigned int i = __ffs(found);

		if (splice_vm_state_has_content(vma, win->states[i]))
			content |= BIT(i);
	}
	return content;
}

/* Of the pages of word @word of a chunk: which have content. Only pages in recheck matter. */
static unsigned long splice_vm_scan_content(struct splice_vm_scan_call *call,
					    struct mm_struct *mm,
					    const struct splice_vm_chunk *chunk,
					    unsigned int word)
{
	unsigned long base = splice_vm_chunk_word_addr(chunk, word);
	unsigned int first = __ffs(chunk->recheck[word]);
	unsigned long start = base + ((unsigned long)first << PAGE_SHIFT);
	unsigned long end = base + ((__fls(chunk->recheck[word]) + 1) << PAGE_SHIFT);
	struct vm_area_struct *vma = call->vma;
	unsigned long content = 0;

	if (vma && vma->vm_start <= start && vma->vm_end >= end) {
		content = splice_vm_scan_content_vma(call, chunk, vma, start, end) << first;
	} else {
		VMA_ITERATOR(vmi, mm, start);

		for_each_vma_range(vmi, vma, end) {
			unsigned long from = max(vma->vm_start, start);
			unsigned long to = min(vma->vm_end, end);

			call->vma = vma;
			content |= splice_vm_scan_content_vma(call, chunk, vma, from, to) <<
				   ((from - base) >> PAGE_SHIFT);
		}
	}
	return content;
}

/* @bit: of the page in word @word of a chunk. @content: see splice_vm_scan_content() */
static u32 splice_vm_scan_page_flags(const struct splice_vm_chunk *chunk, unsigned int word,
				     unsigned long bit, unsigned long content)
{
	if (chunk->recheck[word] & bit)
		return content & bit ? SPLICE_VM_RUN_DIRTY : SPLICE_VM_RUN_DROPPED;
	if (chunk->extra_refs[word] & bit)
		return SPLICE_VM_RUN_DIRTY | SPLICE_VM_RUN_HELD;
	return SPLICE_VM_RUN_DIRTY;
}

/* False when there is no room: call->addr is the first page that was not reported. */
static bool splice_vm_scan_word(struct splice_vm_scan_call *call, struct mm_struct *mm,
				const struct splice_vm_chunk *chunk, unsigned int word)
{
	unsigned long any = chunk->dirty[word] | chunk->recheck[word];
	unsigned long base = splice_vm_chunk_word_addr(chunk, word);
	unsigned long content = 0;

	if (chunk->recheck[word])
		content = splice_vm_scan_content(call, mm, chunk, word);
	for (; any; any &= any - 1) {
		unsigned long addr = base + (__ffs(any) << PAGE_SHIFT);

		if (!splice_vm_scan_emit(call, addr, 1,
					 splice_vm_scan_page_flags(chunk, word, any & -any,
								   content))) {
			call->addr = addr;
			return false;
		}
	}
	return true;
}

/*
 * Reports a chunk that is off the log. False when there is no room: call->addr is the first page
 * that was not reported, and @chunk has only the rest.
 */
static bool splice_vm_scan_pages(struct splice_vm_scan_call *call, struct mm_struct *mm,
				 struct splice_vm_chunk *chunk)
{
	unsigned int word;

	for (word = 0; word < SPLICE_VM_CHUNK_WORDS; word++) {
		if (!(chunk->dirty[word] | chunk->recheck[word]))
			continue;
		if (!splice_vm_scan_word(call, mm, chunk, word)) {
			splice_vm_chunk_clear(chunk, 0, splice_vm_chunk_bit(call->addr));
			return false;
		}
	}
	call->addr = splice_vm_chunk_base(chunk) + SPLICE_VM_CHUNK_SIZE;
	return true;
}

/* Whole chunks at call->addr. Return: false when there was none to take */
static bool splice_vm_scan_chunks(struct splice_vm_scan_call *call, struct mm_struct *mm)
{
	struct splice_vm_dirty_log *log = &call->sess->dirty_log;
	struct splice_vm_chunk *chunk, *next;
	unsigned int nr = 0;
	LIST_HEAD(reported);
	LIST_HEAD(taken);

	if (!splice_vm_dirty_log_take_chunks(log, call->addr, call->end,
					     SPLICE_VM_SCAN_CHUNKS, &taken))
		return false;
	list_for_each_entry_safe(chunk, next, &taken, list) {
		if (!splice_vm_scan_pages(call, mm, chunk))
			break;
		list_move_tail(&chunk->list, &reported);
		nr++;
	}
	splice_vm_dirty_log_give_chunks(log, &reported, nr, &taken);
	call->tables -= nr;
	return true;
}

/* A chunk of which only a part is asked for, or of which ranges say something too. */
static void splice_vm_scan_chunk(struct splice_vm_scan_call *call,
				 struct mm_struct *mm, unsigned long index)
{
	unsigned long base = index << SPLICE_VM_CHUNK_SHIFT;
	unsigned int first = splice_vm_chunk_bit(call->addr);
	unsigned int last = min(call->end - base, SPLICE_VM_CHUNK_SIZE) >>
			    PAGE_SHIFT;
	struct splice_vm_dirty_log *log = &call->sess->dirty_log;
	struct splice_vm_chunk chunk;

	splice_vm_dirty_log_take(log, index, &chunk);
	splice_vm_dirty_log_put_back(log, &chunk, 0, first);
	splice_vm_dirty_log_put_back(log, &chunk, last, SPLICE_VM_CHUNK_PAGES);
	splice_vm_chunk_clear(&chunk, 0, first);
	splice_vm_chunk_clear(&chunk, last, SPLICE_VM_CHUNK_PAGES);
	if (!splice_vm_scan_pages(call, mm, &chunk))
		splice_vm_dirty_log_put_back(log, &chunk, 0, SPLICE_VM_CHUNK_PAGES);
}

/* The part of a range without page tables is one run. Return: false when there is no such part */
static bool splice_vm_scan_range(struct splice_vm_scan_call *call,
				 struct mm_struct *mm, unsigned long start,
				 unsigned long end)
{
	struct splice_vm_dirty_log *log = &call->sess->dirty_log;
	unsigned long to;

	splice_vm_dirty_log_cut(log, start, end);
	to = splice_vm_scan_gap(mm, start, end);
	call->addr = to;
	if (to > start &&
	    !splice_vm_scan_emit(call, start, (to - start) >> PAGE_SHIFT,
				 SPLICE_VM_RUN_DROPPED))
		call->addr = start;
	if (call->addr < end)
		splice_vm_dirty_log_recheck(log, call->addr, end);
	return to > start;
}

/**
 * splice_vm_scan_tracked_step() - report the next piece of the dirty log
 * @call: the SCAN; its address moves on
 * @mm: the target's; mmap lock held, and the session's lock
 *
 * Return: false at the end of the range or of the room
 */
bool splice_vm_scan_tracked_step(struct splice_vm_scan_call *call,
				 struct mm_struct *mm)
{
	struct splice_vm_dirty_log *log = &call->sess->dirty_log;
	unsigned long next, gap_end;

	if (!splice_vm_dirty_log_next(log, call->addr, &next, &gap_end) ||
	    next >= call->end) {
		call->addr = call->end;
		return false;
	}
	call->addr = next;
	gap_end = min3(gap_end, call->end, next + SPLICE_VM_SCAN_RUN_MAX);
	if (gap_end > next && splice_vm_scan_range(call, mm, next, gap_end))
		return !call->full;
	if (gap_end > next || !splice_vm_scan_chunks(call, mm))
		splice_vm_scan_chunk(call, mm, next >> SPLICE_VM_CHUNK_SHIFT);
	return !call->full;
}
