// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include "pages/page_set.h"

#define WORD_BITS	64UL
#define NR_PAGES	(USER_END >> PAGE_SHIFT)
#define WORDS_BYTES	(NR_PAGES / 8)
#define BLOCK_SHIFT	15			/* a block of 2^15 pages fills one page of @words */
#define BLOCK_PAGES	(1UL << BLOCK_SHIFT)
#define NR_BLOCKS	(NR_PAGES >> BLOCK_SHIFT)
#define CHUNK_BLOCKS	512UL			/* made writable at once: 2 MiB of @words */
#define CHUNK_BYTES	(CHUNK_BLOCKS * (BLOCK_PAGES / 8))
#define NR_GROUPS	(NR_BLOCKS / WORD_BITS)	/* words of touched() */
#define SUMMARY_BYTES	(NR_BLOCKS / 8 + NR_GROUPS / 8)

/*
 * A summary right behind @words: one bit for each page of @words that was ever written. A walk
 * skips the other pages, since a read would make the kernel allocate them.
 */
static uint64_t *touched(const struct page_set *set)
{
	return set->words + WORDS_BYTES / sizeof(*set->words);
}

/*
 * Behind it one bit for each word of touched() that is not zero: a walk through each of hundreds of sets
 * reads these 2 KiB.
 */
static uint64_t *groups(const struct page_set *set)
{
	return touched(set) + NR_GROUPS;
}

/*
 * A program of hundreds of processes has thousands of sets, of which most stay empty, so the first member makes
 * the mapping. The kernel commits no memory for a PROT_NONE mapping. With vm.overcommit_memory=2 a set
 * therefore costs only the chunks that have members.
 */
static int make_words(struct page_set *set, struct error *err)
{
	size_t bytes = WORDS_BYTES + SUMMARY_BYTES;
	void *map = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map != MAP_FAILED) {
		/* a huge page would hold the bits of 64 GiB of address space */
		madvise(map, bytes, MADV_NOHUGEPAGE);
		if (!mprotect((char *)map + WORDS_BYTES, SUMMARY_BYTES, PROT_READ | PROT_WRITE)) {
			set->words = map;
			return 0;
		}
		munmap(map, bytes);
	}
	return error_errno(err, CODE_NOT_READY, "free some memory of this machine",
			   "cannot have %lu MiB of address space for a list of a program's pages", bytes >> 20);
}

void page_set_destroy(struct page_set *set)
{
	if (set->words)
		munmap(set->words, WORDS_BYTES + SUMMARY_BYTES);
	set->words = NULL;
	set->nr = 0;
}

static bool bit(const uint64_t *words, uint64_t at)
{
	return words[at / WORD_BITS] >> (at % WORD_BITS) & 1;
}

/* Return: mask of the bits [*@at, @end) in the word of *@at; *@at moves behind these bits */
static uint64_t next_mask(uint64_t *at, uint64_t end)
{
	uint64_t first = *at % WORD_BITS, nr = WORD_BITS - first;

	if (nr > end - *at)
		nr = end - *at;
	*at += nr;
	return (nr == WORD_BITS ? ~0UL : (1UL << nr) - 1) << first;
}

static uint64_t clamp_end(uint64_t page, uint64_t nr_pages)
{
	return page >= NR_PAGES ? page :
	       nr_pages > NR_PAGES - page ? NR_PAGES : page + nr_pages;
}

/* Return: number of blocks that the pages below @end fill, rounded up */
static uint64_t blocks(uint64_t end)
{
	return (end + BLOCK_PAGES - 1) >> BLOCK_SHIFT;
}

uint64_t page_set_cost(const struct page_set *set, uint64_t addr, uint64_t nr_pages)
{
	uint64_t at = addr >> PAGE_SHIFT, end = clamp_end(at, nr_pages), cost = 0;

	for (uint64_t block = at >> BLOCK_SHIFT; at < end && block < blocks(end); block++)
		cost += set->words && bit(touched(set), block) ? 0 : BLOCK_PAGES / 8;
	return cost;
}

static bool chunk_is_open(const struct page_set *set, uint64_t chunk)
{
	const uint64_t *words = touched(set) + chunk * (CHUNK_BLOCKS / WORD_BITS);

	for (size_t i = 0; i < CHUNK_BLOCKS / WORD_BITS; i++)
		if (words[i])
			return true;
	return false;
}

static int open_block(struct page_set *set, uint64_t block, struct error *err)
{
	uint64_t chunk = block / CHUNK_BLOCKS;

	if (!chunk_is_open(set, chunk) &&
	    mprotect((char *)set->words + chunk * CHUNK_BYTES, CHUNK_BYTES,
		     PROT_READ | PROT_WRITE))
		return error_errno(err, CODE_NOT_READY, "free some memory of this machine",
				   "cannot have %lu KiB for the list of a program's pages at 0x%lx",
				   CHUNK_BYTES >> 10, block << (BLOCK_SHIFT + PAGE_SHIFT));
	touched(set)[block / WORD_BITS] |= 1UL << (block % WORD_BITS);
	groups(set)[block / WORD_BITS / WORD_BITS] |= 1UL << (block / WORD_BITS % WORD_BITS);
	return 0;
}

/* The caller opens all blocks before the first bit changes, so that a failure adds no page. */
static int open_blocks(struct page_set *set, uint64_t at, uint64_t end, struct error *err)
{
	for (uint64_t block = at >> BLOCK_SHIFT; at < end && block < blocks(end); block++)
		if (!bit(touched(set), block) && open_block(set, block, err))
			return -1;
	return 0;
}

int page_set_add(struct page_set *set, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	uint64_t at = addr >> PAGE_SHIFT, end = clamp_end(at, nr_pages);

	if (at >= end)
		return 0;
	if ((!set->words && make_words(set, err)) || open_blocks(set, at, end, err))
		return -1;
	while (at < end) {
		uint64_t *word = &set->words[at / WORD_BITS];
		uint64_t mask = next_mask(&at, end);

		set->nr += __builtin_popcountl(mask & ~*word);
		*word |= mask;
	}
	return 0;
}

/* Return: first bit in [@at, @end) that is set, or clear with @flip ~0; @end: there is none */
static uint64_t scan_words(const uint64_t *words, uint64_t at, uint64_t end, uint64_t flip)
{
	while (at < end) {
		uint64_t word = (words[at / WORD_BITS] ^ flip) >> (at % WORD_BITS);

		if (word) {
			at += __builtin_ctzl(word);
			return at < end ? at : end;
		}
		at = (at / WORD_BITS + 1) * WORD_BITS;
	}
	return end;
}

/* Return: first block in [@block, @end) that was ever written; @end: there is none */
static uint64_t next_touched(const struct page_set *set, uint64_t block, uint64_t end)
{
	while (block < end) {
		uint64_t group = scan_words(groups(set), block / WORD_BITS,
					    (end + WORD_BITS - 1) / WORD_BITS, 0);
		uint64_t stop = (group + 1) * WORD_BITS, found;

		if (group * WORD_BITS > block)
			block = group * WORD_BITS;
		if (stop > end)
			stop = end;
		found = scan_words(touched(set), block, stop, 0);
		if (found < stop)
			return found;
		block = stop;
	}
	return end;
}

void page_set_remove(struct page_set *set, uint64_t addr, uint64_t nr_pages)
{
	uint64_t at = addr >> PAGE_SHIFT, end = clamp_end(at, nr_pages);

	while (at < end && set->nr) {
		uint64_t *word = &set->words[at / WORD_BITS], mask;

		if (!bit(touched(set), at >> BLOCK_SHIFT)) {
			at = next_touched(set, at >> BLOCK_SHIFT, blocks(end)) << BLOCK_SHIFT;
			continue;
		}
		mask = next_mask(&at, end);
		if (!(*word & mask))
			continue;
		set->nr -= __builtin_popcountl(*word & mask);
		*word &= ~mask;
	}
}

bool page_set_has(const struct page_set *set, uint64_t addr)
{
	uint64_t page = addr >> PAGE_SHIFT;

	return set->nr && page < NR_PAGES && bit(touched(set), page >> BLOCK_SHIFT) && bit(set->words, page);
}

static uint64_t first_member(const struct page_set *set, uint64_t at, uint64_t end)
{
	while (at < end) {
		uint64_t block = next_touched(set, at >> BLOCK_SHIFT, blocks(end));
		uint64_t stop = (block + 1) << BLOCK_SHIFT, found;

		if (block << BLOCK_SHIFT > at)
			at = block << BLOCK_SHIFT;
		if (stop > end)
			stop = end;
		found = scan_words(set->words, at, stop, 0);
		if (found < stop)
			return found;
		at = (block + 1) << BLOCK_SHIFT;
	}
	return end;
}

static uint64_t first_missing(const struct page_set *set, uint64_t at, uint64_t end)
{
	while (at < end) {
		uint64_t stop = ((at >> BLOCK_SHIFT) + 1) << BLOCK_SHIFT, found;

		if (!bit(touched(set), at >> BLOCK_SHIFT))
			return at;
		if (stop > end)
			stop = end;
		found = scan_words(set->words, at, stop, ~0UL);
		if (found < stop)
			return found;
		at = stop;
	}
	return end;
}

uint64_t page_set_common(const struct page_set *a, const struct page_set *b)
{
	uint64_t nr = 0, block = 0;

	if (!a->nr || !b->nr)
		return 0;
	for (; (block = next_touched(a, block, NR_BLOCKS)) < NR_BLOCKS; block++) {
		uint64_t word = block * (BLOCK_PAGES / WORD_BITS), end = word + BLOCK_PAGES / WORD_BITS;

		for (; bit(touched(b), block) && word < end; word++)
			nr += __builtin_popcountl(a->words[word] & b->words[word]);
	}
	return nr;
}

bool page_set_next(const struct page_set *set, uint64_t addr, uint64_t end,
		   uint64_t max_pages, struct run *run)
{
	uint64_t last = (end > USER_END ? USER_END : end) >> PAGE_SHIFT;
	uint64_t first = set->nr ? first_member(set, addr >> PAGE_SHIFT, last) : last;

	if (first >= last)
		return false;
	if (max_pages && last - first > max_pages)
		last = first + max_pages;
	run->addr = first << PAGE_SHIFT;
	run->nr_pages = first_missing(set, first, last) - first;
	return true;
}
