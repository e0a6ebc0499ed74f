// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "pages/page_set.h"

#define WORD_BITS	64UL
#define NR_PAGES	(USER_END >> PAGE_SHIFT)
#define BLOCK_SHIFT	12			/* a block is 512 bytes of bits: 16 MiB of address space */
#define BLOCK_PAGES	(1UL << BLOCK_SHIFT)
#define BLOCK_BYTES	(BLOCK_PAGES / 8)
#define GROUP_BLOCKS	WORD_BITS		/* 1 GiB of address space */
#define GROUPS_MIN	4

/**
 * struct page_group - the blocks of 1 GiB of address space
 * @present: a bit for each of @blocks that has memory
 */
struct page_group {
	uint64_t present;
	uint64_t *blocks[GROUP_BLOCKS];
};

void page_set_destroy(struct page_set *set)
{
	for (size_t i = 0; i < set->nr_groups; i++) {
		struct page_group *group = set->groups[i].group;

		for (size_t j = 0; j < GROUP_BLOCKS; j++)
			free(group->blocks[j]);
		free(group);
	}
	free(set->groups);
	page_set_init(set);
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

/* Return: index of the first group that is number @key or a later one */
static size_t group_index(const struct page_set *set, uint64_t key)
{
	size_t low = 0, high = set->nr_groups;

	/* pages are added in the order of their addresses as a rule */
	if (high && set->groups[high - 1].key < key)
		return high;
	while (low < high) {
		size_t mid = (low + high) / 2;

		if (set->groups[mid].key < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct page_group *group_find(const struct page_set *set, uint64_t key)
{
	size_t i = group_index(set, key);

	return i < set->nr_groups && set->groups[i].key == key ? set->groups[i].group : NULL;
}

/* Return: the bits of @block, or NULL when it never had a page */
static uint64_t *block_find(const struct page_set *set, uint64_t block)
{
	const struct page_group *group = group_find(set, block / GROUP_BLOCKS);

	return group ? group->blocks[block % GROUP_BLOCKS] : NULL;
}

/* Return: first block in [@block, @end) that ever had a page; @end: there is none */
static uint64_t next_block(const struct page_set *set, uint64_t block, uint64_t end)
{
	for (size_t i = group_index(set, block / GROUP_BLOCKS); i < set->nr_groups; i++) {
		uint64_t first = set->groups[i].key * GROUP_BLOCKS;
		uint64_t present = set->groups[i].group->present;

		if (first < block)
			present &= ~0UL << (block - first);
		if (first >= end)
			break;
		if (present) {
			block = first + __builtin_ctzl(present);
			return block < end ? block : end;
		}
	}
	return end;
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

uint64_t page_set_cost(const struct page_set *set, uint64_t addr, uint64_t nr_pages)
{
	uint64_t at = addr >> PAGE_SHIFT, end = clamp_end(at, nr_pages), cost, block, last;

	if (at >= end)
		return 0;
	block = at >> BLOCK_SHIFT;
	last = blocks(end);
	cost = (last - block) * BLOCK_BYTES +
	       ((last - 1) / GROUP_BLOCKS - block / GROUP_BLOCKS + 1) * sizeof(struct page_group);
	while (block < last) {
		const struct page_group *group = group_find(set, block / GROUP_BLOCKS);
		uint64_t mask = next_mask(&block, last);

		if (group)
			cost -= sizeof(*group) + __builtin_popcountl(group->present & mask) * BLOCK_BYTES;
	}
	return cost;
}

static struct page_group *group_insert(struct page_set *set, uint64_t key)
{
	size_t i = group_index(set, key), room = set->room ? 2 * set->room : GROUPS_MIN;
	struct page_group *group;

	if (set->nr_groups == set->room) {
		struct page_set_slot *more = realloc(set->groups, room * sizeof(*more));

		if (!more)
			return NULL;
		set->groups = more;
		set->room = room;
	}
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	memmove(&set->groups[i + 1], &set->groups[i], (set->nr_groups - i) * sizeof(*set->groups));
	set->groups[i] = (struct page_set_slot){ .key = key, .group = group };
	set->nr_groups++;
	return group;
}

/* @mask: the blocks of the group that get memory. Return: -1 when there is none */
static int group_fill(struct page_group *group, uint64_t mask)
{
	mask &= ~group->present;
	while (mask) {
		int i = __builtin_ctzl(mask);

		group->blocks[i] = calloc(1, BLOCK_BYTES);
		if (!group->blocks[i])
			return -1;
		group->present |= 1UL << i;
		mask &= mask - 1;
	}
	return 0;
}

/* The caller makes all blocks before the first bit changes, so that a failure adds no page. */
static int make_blocks(struct page_set *set, uint64_t at, uint64_t end, struct error *err)
{
	uint64_t block = at >> BLOCK_SHIFT, last = blocks(end);

	while (block < last) {
		uint64_t first = block, key = block / GROUP_BLOCKS, mask = next_mask(&block, last);
		struct page_group *group = group_find(set, key);

		if (!group)
			group = group_insert(set, key);
		if (!group || group_fill(group, mask))
			return error_set(err, CODE_NOT_READY, "free some memory of this machine",
					 "no memory for the list of a program's pages at 0x%lx",
					 first << (BLOCK_SHIFT + PAGE_SHIFT));
	}
	return 0;
}

/* Return: where [@at, @end) leaves the block of @at */
static uint64_t block_stop(uint64_t at, uint64_t end)
{
	uint64_t stop = ((at >> BLOCK_SHIFT) + 1) << BLOCK_SHIFT;

	return stop < end ? stop : end;
}

int page_set_add(struct page_set *set, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	uint64_t at = addr >> PAGE_SHIFT, end = clamp_end(at, nr_pages);

	if (at >= end)
		return 0;
	if (make_blocks(set, at, end, err))
		return -1;
	while (at < end) {
		uint64_t *words = block_find(set, at >> BLOCK_SHIFT), stop = block_stop(at, end);

		while (at < stop) {
			uint64_t *word = &words[at % BLOCK_PAGES / WORD_BITS];
			uint64_t mask = next_mask(&at, stop);

			set->nr += __builtin_popcountl(mask & ~*word);
			*word |= mask;
		}
	}
	return 0;
}

void page_set_remove(struct page_set *set, uint64_t addr, uint64_t nr_pages)
{
	uint64_t at = addr >> PAGE_SHIFT, end = clamp_end(at, nr_pages);

	while (at < end && set->nr) {
		uint64_t block = next_block(set, at >> BLOCK_SHIFT, blocks(end)), *words, stop;

		if (at < block << BLOCK_SHIFT)
			at = block << BLOCK_SHIFT;
		if (at >= end)
			return;
		words = block_find(set, block);
		for (stop = block_stop(at, end); at < stop;) {
			uint64_t *word = &words[at % BLOCK_PAGES / WORD_BITS];
			uint64_t mask = next_mask(&at, stop);

			set->nr -= __builtin_popcountl(*word & mask);
			*word &= ~mask;
		}
	}
}

bool page_set_has(const struct page_set *set, uint64_t addr)
{
	uint64_t page = addr >> PAGE_SHIFT, at = page % BLOCK_PAGES;
	const uint64_t *words = set->nr && page < NR_PAGES ? block_find(set, page >> BLOCK_SHIFT) : NULL;

	return words && words[at / WORD_BITS] >> (at % WORD_BITS) & 1;
}

/*
 * Return: first page in [@at, @end), all in the block of @words, that is a member, or is none with
 * @flip ~0; @end: there is none
 */
static uint64_t scan_block(const uint64_t *words, uint64_t at, uint64_t end, uint64_t flip)
{
	while (at < end) {
		uint64_t word = (words[at % BLOCK_PAGES / WORD_BITS] ^ flip) >> (at % WORD_BITS);

		if (word) {
			at += __builtin_ctzl(word);
			return at < end ? at : end;
		}
		at = (at / WORD_BITS + 1) * WORD_BITS;
	}
	return end;
}

static uint64_t first_member(const struct page_set *set, uint64_t at, uint64_t end)
{
	while (at < end) {
		uint64_t block = next_block(set, at >> BLOCK_SHIFT, blocks(end)), stop, found;

		if (at < block << BLOCK_SHIFT)
			at = block << BLOCK_SHIFT;
		if (at >= end)
			break;
		stop = block_stop(at, end);
		found = scan_block(block_find(set, block), at, stop, 0);
		if (found < stop)
			return found;
		at = stop;
	}
	return end;
}

static uint64_t first_missing(const struct page_set *set, uint64_t at, uint64_t end)
{
	while (at < end) {
		const uint64_t *words = block_find(set, at >> BLOCK_SHIFT);
		uint64_t stop = block_stop(at, end), found;

		if (!words)
			return at;
		found = scan_block(words, at, stop, ~0UL);
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
	for (; (block = next_block(a, block, blocks(NR_PAGES))) < blocks(NR_PAGES); block++) {
		const uint64_t *in_a = block_find(a, block), *in_b = block_find(b, block);

		for (size_t i = 0; in_b && i < BLOCK_PAGES / WORD_BITS; i++)
			nr += __builtin_popcountl(in_a[i] & in_b[i]);
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
