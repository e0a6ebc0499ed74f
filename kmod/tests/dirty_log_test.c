// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of dirty_log.c and ranges.c, included whole: their functions are not exported. A
 * module of its own, made only where the kernel has KUnit built in.
 */
#include <kunit/test.h>
#include <linux/module.h>

#include "../ranges.c"
#include "../chunks.c"
#include "../dirty_log.c"
#include "../dirty_log_mem.c"

#define BASE	(SPLICE_VM_CHUNK_SIZE * 8)
#define INDEX	8UL
#define RANGES	10240
#define PAGES(n) ((unsigned long)(n) << PAGE_SHIFT)

static int dirty_log_test_init(struct kunit *test)
{
	struct splice_vm_dirty_log *log;

	log = kunit_kzalloc(test, sizeof(*log), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, log);
	splice_vm_dirty_log_init(log);
	test->priv = log;
	return 0;
}

static void dirty_log_test_exit(struct kunit *test)
{
	splice_vm_dirty_log_destroy(test->priv);
}

/* Pages of the chunk at BASE that are @what by now; all that is recorded goes. */
static unsigned int dirty_log_test_take(struct kunit *test, char what)
{
	struct splice_vm_chunk *chunk;
	const unsigned long *bits;

	chunk = kunit_kzalloc(test, sizeof(*chunk), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, chunk);
	splice_vm_dirty_log_take(test->priv, INDEX, chunk);
	bits = what == 'd' ? chunk->dirty :
	       what == 'h' ? chunk->extra_refs : chunk->recheck;
	return bitmap_weight(bits, SPLICE_VM_CHUNK_PAGES);
}

static bool dirty_log_test_is_empty(struct kunit *test)
{
	unsigned long next, gap_end;

	return !splice_vm_dirty_log_next(test->priv, 0, &next, &gap_end);
}

static void dirty_log_test_log(struct kunit *test)
{
	struct splice_vm_dirty_log *log = test->priv;
	struct splice_vm_chunk chunk;

	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(log, 4, RANGES), 0);
	KUNIT_EXPECT_EQ(test, log->chunks.nr_pool, 4);
	/* Over the border of two chunks, and nothing at all. */
	splice_vm_dirty_log_recheck(log, BASE - PAGES(3), BASE + PAGES(2));
	splice_vm_dirty_log_recheck(log, BASE, BASE);
	KUNIT_EXPECT_EQ(test, log->chunks.nr, 2);
	KUNIT_EXPECT_EQ(test, dirty_log_test_take(test, 'l'), 2);
	splice_vm_dirty_log_take(log, INDEX - 1, &chunk);
	KUNIT_EXPECT_EQ(test, bitmap_weight(chunk.recheck,
					    SPLICE_VM_CHUNK_PAGES), 3);
	KUNIT_EXPECT_TRUE(test, test_bit(SPLICE_VM_CHUNK_PAGES - 1,
					 chunk.recheck));
	KUNIT_EXPECT_TRUE(test, dirty_log_test_is_empty(test));
	KUNIT_EXPECT_EQ(test, log->chunks.nr_pool, 4);
	KUNIT_EXPECT_EQ(test, log->overflows, 0);
}

static void dirty_log_test_held(struct kunit *test)
{
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(held, SPLICE_VM_CHUNK_PAGES) = {};
	struct splice_vm_dirty_log *log = test->priv;

	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(log, 1, RANGES), 0);
	bitmap_set(dirty, 10, 4);
	bitmap_set(held, 10, 4);
	splice_vm_dirty_log_add(log, INDEX, dirty, held);
	/* Two of them are written in a later epoch: no longer held only. */
	bitmap_clear(dirty, 12, 2);
	bitmap_zero(held, SPLICE_VM_CHUNK_PAGES);
	splice_vm_dirty_log_add(log, INDEX, dirty, held);
	/* And held once more. */
	bitmap_set(held, 10, 2);
	splice_vm_dirty_log_add(log, INDEX, dirty, held);
	KUNIT_EXPECT_EQ(test, dirty_log_test_take(test, 'h'), 2);

	splice_vm_dirty_log_add(log, INDEX, dirty, held);
	KUNIT_EXPECT_EQ(test, dirty_log_test_take(test, 'd'), 2);
	KUNIT_EXPECT_TRUE(test, dirty_log_test_is_empty(test));
}

/* Without memory more is remembered than was said, never less. */
static void dirty_log_test_no_memory(struct kunit *test)
{
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	struct splice_vm_dirty_log *log = test->priv;

	__set_bit(5, dirty);
	splice_vm_dirty_log_add(log, INDEX, dirty, dirty);
	KUNIT_EXPECT_EQ(test, log->overflows, 1);
	KUNIT_EXPECT_EQ(test, dirty_log_test_take(test, 'l'),
			SPLICE_VM_CHUNK_PAGES);
	splice_vm_dirty_log_recheck(log, BASE + PAGES(7), BASE + PAGES(9));
	KUNIT_EXPECT_EQ(test, dirty_log_test_take(test, 'l'), 2);
	KUNIT_EXPECT_TRUE(test, dirty_log_test_is_empty(test));
}

static void dirty_log_test_full(struct kunit *test)
{
	struct splice_vm_dirty_log *log = test->priv;
	unsigned long step = SPLICE_VM_CHUNK_SIZE * 2, addr, next, gap_end;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(log, 0, RANGES), 0);
	for (i = 0; i < RANGES + 10; i++)
		splice_vm_dirty_log_recheck(log, BASE + i * step,
					    BASE + i * step + SPLICE_VM_CHUNK_SIZE);
	KUNIT_EXPECT_EQ(test, log->recheck.nr, RANGES);
	KUNIT_EXPECT_EQ(test, log->overflows, 10);
	for (i = 0; i < RANGES + 10; i++) {
		addr = BASE + i * step;
		KUNIT_ASSERT_TRUE(test, splice_vm_dirty_log_next(log, addr, &next,
								 &gap_end));
		KUNIT_ASSERT_EQ(test, next, addr);
		KUNIT_ASSERT_GE(test, gap_end, addr + SPLICE_VM_CHUNK_SIZE);
	}
	/* A cut in the middle for which there is no room changes nothing. */
	splice_vm_dirty_log_cut(log, BASE + PAGES(1), BASE + PAGES(2));
	KUNIT_EXPECT_EQ(test, dirty_log_test_take(test, 'l'),
			SPLICE_VM_CHUNK_PAGES);
}

/* What lies between scattered ranges is not in the set, in whatever order they came. */
static void dirty_log_test_scattered(struct kunit *test)
{
	struct splice_vm_dirty_log *log = test->priv;
	unsigned long addr = 0, next, gap_end;
	unsigned int i, nr = 0;

	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(log, 0, RANGES), 0);
	/* 7919 is a prime: all numbers below 10,000 come, in disorder. */
	for (i = 0; i < 10000; i++)
		splice_vm_dirty_log_unmap(log, BASE + i * 7919UL % 10000 * PAGES(2),
					  BASE + i * 7919UL % 10000 * PAGES(2) +
					  PAGES(1));
	splice_vm_dirty_log_recheck_unmapped(log);
	KUNIT_EXPECT_EQ(test, log->overflows, 0);
	KUNIT_EXPECT_EQ(test, log->unmapped.nr, 0);
	while (splice_vm_dirty_log_next(log, addr, &next, &gap_end)) {
		KUNIT_ASSERT_EQ(test, next, BASE + nr++ * PAGES(2));
		KUNIT_ASSERT_EQ(test, gap_end, next + PAGES(1));
		addr = gap_end;
	}
	KUNIT_EXPECT_EQ(test, nr, 10000);
}

/* Those that overlap or touch become one, and their ranges are free again. */
static void dirty_log_test_merge(struct kunit *test)
{
	struct splice_vm_dirty_log *log = test->priv;
	unsigned long addr, next, gap_end;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(log, 0, RANGES), 0);
	for (i = 0; i < 3 * RANGES; i++) {
		splice_vm_dirty_log_unmap(log, BASE + i * PAGES(1),
					  BASE + (i + 1) * PAGES(1));
	}
	KUNIT_EXPECT_EQ(test, log->unmapped.nr, 1);
	splice_vm_dirty_log_unmap(log, BASE - PAGES(9), BASE - PAGES(5));
	splice_vm_dirty_log_unmap(log, BASE - PAGES(3), BASE - PAGES(2));
	KUNIT_EXPECT_EQ(test, log->unmapped.nr, 3);
	addr = BASE - PAGES(5);
	KUNIT_EXPECT_TRUE(test, splice_vm_dirty_log_unmapped_touches(log, addr,
								     BASE));
	addr = BASE - PAGES(12);
	KUNIT_EXPECT_FALSE(test, splice_vm_dirty_log_unmapped_touches(log, addr,
								      addr));
	splice_vm_dirty_log_unmap(log, BASE - PAGES(5), BASE);
	KUNIT_EXPECT_EQ(test, log->unmapped.nr, 1);
	splice_vm_dirty_log_recheck_unmapped(log);
	KUNIT_ASSERT_TRUE(test, splice_vm_dirty_log_next(log, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE - PAGES(9));
	KUNIT_EXPECT_EQ(test, log->overflows, 0);
}

/* Of a part: what lies outside of it stays, in a chunk that the border cuts as well. */
static void dirty_log_test_move_part(struct kunit *test)
{
	struct splice_vm_dirty_log *from = test->priv, *to;
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	unsigned long next, gap_end;

	to = kunit_kzalloc(test, sizeof(*to), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, to);
	splice_vm_dirty_log_init(to);
	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(from, 2, RANGES), 0);
	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(to, 2, RANGES), 0);
	bitmap_set(dirty, 0, 20);
	splice_vm_dirty_log_add(from, INDEX, dirty, dirty);
	splice_vm_dirty_log_recheck(from, BASE * 4, BASE * 6);
	splice_vm_dirty_log_move(to, from, BASE + PAGES(5), BASE * 5);
	KUNIT_EXPECT_EQ(test, dirty_log_test_take(test, 'd'), 5);
	KUNIT_ASSERT_TRUE(test, splice_vm_dirty_log_next(from, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE * 5);
	KUNIT_ASSERT_TRUE(test, splice_vm_dirty_log_next(to, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE);
	KUNIT_ASSERT_TRUE(test, splice_vm_dirty_log_next(to, BASE * 2, &next,
							 &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE * 4);
	KUNIT_EXPECT_EQ(test, gap_end, BASE * 5);
	splice_vm_dirty_log_destroy(to);
}

static void dirty_log_test_cut(struct kunit *test)
{
	struct splice_vm_dirty_log *log = test->priv;
	unsigned long next, gap_end;

	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(log, 0, RANGES), 0);
	splice_vm_dirty_log_recheck(log, BASE, BASE + 4 * SPLICE_VM_CHUNK_SIZE);
	splice_vm_dirty_log_recheck(log, BASE + 8 * SPLICE_VM_CHUNK_SIZE,
				    BASE + 9 * SPLICE_VM_CHUNK_SIZE);
	splice_vm_dirty_log_cut(log, BASE + SPLICE_VM_CHUNK_SIZE,
				BASE + 2 * SPLICE_VM_CHUNK_SIZE);
	KUNIT_EXPECT_EQ(test, log->recheck.nr, 3);
	KUNIT_ASSERT_TRUE(test, splice_vm_dirty_log_next(log, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE);
	KUNIT_EXPECT_EQ(test, gap_end, BASE + SPLICE_VM_CHUNK_SIZE);
	KUNIT_ASSERT_TRUE(test, splice_vm_dirty_log_next(log, gap_end, &next,
							 &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE + 2 * SPLICE_VM_CHUNK_SIZE);
	splice_vm_dirty_log_cut(log, 0, ULONG_MAX);
	KUNIT_EXPECT_TRUE(test, dirty_log_test_is_empty(test));
	KUNIT_EXPECT_EQ(test, log->recheck.nr, 0);
}

/* A gap between chunks ends where the next chunk begins. */
static void dirty_log_test_next(struct kunit *test)
{
	struct splice_vm_dirty_log *log = test->priv;
	unsigned long next, gap_end;

	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(log, 2, RANGES), 0);
	splice_vm_dirty_log_recheck(log, BASE, BASE + 4 * SPLICE_VM_CHUNK_SIZE);
	splice_vm_dirty_log_recheck(log, BASE + 2 * SPLICE_VM_CHUNK_SIZE,
				    BASE + 2 * SPLICE_VM_CHUNK_SIZE + PAGES(1));
	KUNIT_ASSERT_TRUE(test, splice_vm_dirty_log_next(log, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE);
	KUNIT_EXPECT_EQ(test, gap_end, BASE + 2 * SPLICE_VM_CHUNK_SIZE);
	KUNIT_ASSERT_TRUE(test, splice_vm_dirty_log_next(log, gap_end, &next,
							 &gap_end));
	KUNIT_EXPECT_EQ(test, next, gap_end);
}

static void dirty_log_test_put_back(struct kunit *test)
{
	struct splice_vm_dirty_log *log = test->priv;
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(held, SPLICE_VM_CHUNK_PAGES) = {};
	struct splice_vm_chunk chunk, rest;

	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(log, 1, RANGES), 0);
	bitmap_set(dirty, 0, 20);
	bitmap_set(held, 15, 5);
	splice_vm_dirty_log_add(log, INDEX, dirty, held);
	splice_vm_dirty_log_recheck(log, BASE + PAGES(18), BASE + PAGES(30));
	splice_vm_dirty_log_take(log, INDEX, &chunk);
	KUNIT_EXPECT_TRUE(test, dirty_log_test_is_empty(test));
	/* From 10 on it was not reported; meanwhile page 3 is written again. */
	bitmap_zero(dirty, SPLICE_VM_CHUNK_PAGES);
	__set_bit(3, dirty);
	splice_vm_dirty_log_add(log, INDEX, dirty, held);
	splice_vm_dirty_log_put_back(log, &chunk, 10, SPLICE_VM_CHUNK_PAGES);
	splice_vm_dirty_log_put_back(log, &chunk, 10, 10);
	splice_vm_dirty_log_take(log, INDEX, &rest);
	KUNIT_EXPECT_EQ(test, bitmap_weight(rest.dirty, SPLICE_VM_CHUNK_PAGES),
			11);
	KUNIT_EXPECT_EQ(test, bitmap_weight(rest.extra_refs, SPLICE_VM_CHUNK_PAGES),
			5);
	KUNIT_EXPECT_EQ(test, bitmap_weight(rest.recheck, SPLICE_VM_CHUNK_PAGES),
			12);
	KUNIT_EXPECT_FALSE(test, test_bit(9, rest.dirty));
}

static void dirty_log_test_unmapped(struct kunit *test)
{
	struct splice_vm_dirty_log *log = test->priv;

	splice_vm_dirty_log_unmap(log, BASE, BASE + PAGES(3));
	KUNIT_EXPECT_TRUE(test, dirty_log_test_is_empty(test));
	splice_vm_dirty_log_recheck_unmapped(log);
	KUNIT_EXPECT_EQ(test, dirty_log_test_take(test, 'l'), 3);
	splice_vm_dirty_log_recheck_unmapped(log);
	KUNIT_EXPECT_TRUE(test, dirty_log_test_is_empty(test));
}

/* A copy, with what ranges say; nothing is taken. */
static void dirty_log_test_peek(struct kunit *test)
{
	struct splice_vm_dirty_log *log = test->priv;
	struct splice_vm_chunk chunk;

	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(log, 1, RANGES), 0);
	splice_vm_dirty_log_recheck(log, BASE + PAGES(1), BASE + PAGES(2));
	splice_vm_dirty_log_recheck(log, BASE - SPLICE_VM_CHUNK_SIZE, BASE + PAGES(1));
	KUNIT_ASSERT_TRUE(test, splice_vm_dirty_log_peek(log, 0, &chunk));
	KUNIT_EXPECT_EQ(test, chunk.index, INDEX);
	KUNIT_EXPECT_EQ(test, bitmap_weight(chunk.recheck,
					    SPLICE_VM_CHUNK_PAGES), 2);
	KUNIT_EXPECT_FALSE(test, splice_vm_dirty_log_peek(log, INDEX + 1, &chunk));
	KUNIT_EXPECT_EQ(test, dirty_log_test_take(test, 'l'), 2);
}

/* The indexes of the chunks on a list, in its order, are from @first to before @end. */
static void dirty_log_test_indexes(struct kunit *test, const struct list_head *list,
				   unsigned long first, unsigned long end)
{
	struct splice_vm_chunk *chunk;

	list_for_each_entry(chunk, list, list)
		KUNIT_EXPECT_EQ(test, chunk->index, first++);
	KUNIT_EXPECT_EQ(test, first, end);
}

/* Many chunks at once, up to a border or a range; what was logged meanwhile is not lost. */
static void dirty_log_test_take_chunks(struct kunit *test)
{
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(none, SPLICE_VM_CHUNK_PAGES) = {};
	struct splice_vm_dirty_log *log = test->priv;
	unsigned long end = BASE + 7 * SPLICE_VM_CHUNK_SIZE;
	struct splice_vm_chunk *first, out;
	unsigned int i;
	LIST_HEAD(taken);
	LIST_HEAD(reported);

	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(log, 8, RANGES), 0);
	__set_bit(4, dirty);
	for (i = 0; i < 7; i++)
		splice_vm_dirty_log_add(log, INDEX + i, dirty, dirty);
	splice_vm_dirty_log_recheck(log, BASE + 5 * SPLICE_VM_CHUNK_SIZE + PAGES(9),
				    BASE + 6 * SPLICE_VM_CHUNK_SIZE + PAGES(9));
	/* The border cuts the first one, or the second: nothing, and one. */
	KUNIT_EXPECT_EQ(test, splice_vm_dirty_log_take_chunks(log, BASE + PAGES(1), end, 9,
							      &taken), 0);
	KUNIT_EXPECT_EQ(test, splice_vm_dirty_log_take_chunks(log, BASE, end, 2, &taken), 2);
	dirty_log_test_indexes(test, &taken, INDEX, INDEX + 2);
	KUNIT_EXPECT_EQ(test, log->chunks.nr, 5);
	KUNIT_EXPECT_EQ(test, log->chunks.nr_pool, 1);
	/* The second one is logged anew meanwhile, so both are put together. */
	__set_bit(5, dirty);
	splice_vm_dirty_log_add(log, INDEX + 1, dirty, none);
	first = list_first_entry(&taken, struct splice_vm_chunk, list);
	list_move(&first->list, &reported);
	splice_vm_dirty_log_give_chunks(log, &reported, 1, &taken);
	KUNIT_EXPECT_EQ(test, log->chunks.nr, 6);
	KUNIT_EXPECT_EQ(test, log->chunks.nr_pool, 2);
	splice_vm_dirty_log_take(log, INDEX + 1, &out);
	KUNIT_EXPECT_EQ(test, bitmap_weight(out.dirty, SPLICE_VM_CHUNK_PAGES), 2);
	KUNIT_EXPECT_EQ(test, bitmap_weight(out.extra_refs, SPLICE_VM_CHUNK_PAGES), 0);
	/* Up to where the range begins, and up to the end that is asked for. */
	INIT_LIST_HEAD(&taken);
	INIT_LIST_HEAD(&reported);
	KUNIT_EXPECT_EQ(test, splice_vm_dirty_log_take_chunks(log, BASE, end, 9, &taken), 3);
	dirty_log_test_indexes(test, &taken, INDEX + 2, INDEX + 5);
	splice_vm_dirty_log_give_chunks(log, &reported, 0, &taken);
	INIT_LIST_HEAD(&taken);
	KUNIT_EXPECT_EQ(test, splice_vm_dirty_log_take_chunks(log, BASE, BASE +
							      4 * SPLICE_VM_CHUNK_SIZE -
							      PAGES(1), 9, &taken), 1);
	splice_vm_dirty_log_give_chunks(log, &taken, 1, &reported);
	KUNIT_EXPECT_EQ(test, log->chunks.nr + log->chunks.nr_pool, 8);
	KUNIT_EXPECT_EQ(test, log->overflows, 0);
}

/* All of it, as written; extra references stay only that, but where a page is to be looked at. */
static void dirty_log_test_move(struct kunit *test)
{
	struct splice_vm_dirty_log *from = test->priv, *to;
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(held, SPLICE_VM_CHUNK_PAGES) = {};
	struct splice_vm_chunk *chunk;
	unsigned long next, gap_end;

	to = kunit_kzalloc(test, sizeof(*to), GFP_KERNEL);
	chunk = kunit_kzalloc(test, sizeof(*chunk), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, to);
	KUNIT_ASSERT_NOT_NULL(test, chunk);
	splice_vm_dirty_log_init(to);
	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(from, 2, RANGES), 0);
	KUNIT_ASSERT_EQ(test, splice_vm_dirty_log_reserve(to, 2, RANGES), 0);
	bitmap_set(dirty, 1, 3);
	bitmap_set(held, 2, 2);
	splice_vm_dirty_log_add(from, INDEX, dirty, held);
	splice_vm_dirty_log_recheck(from, BASE + PAGES(3), BASE + PAGES(5));
	splice_vm_dirty_log_recheck(from, BASE * 4, BASE * 5);

	splice_vm_dirty_log_move(to, from, 0, ULONG_MAX & PAGE_MASK);
	KUNIT_EXPECT_TRUE(test, dirty_log_test_is_empty(test));
	splice_vm_dirty_log_take(to, INDEX, chunk);
	KUNIT_EXPECT_EQ(test, bitmap_weight(chunk->dirty,
					    SPLICE_VM_CHUNK_PAGES), 4);
	KUNIT_EXPECT_EQ(test, bitmap_weight(chunk->extra_refs,
					    SPLICE_VM_CHUNK_PAGES), 1);
	KUNIT_EXPECT_TRUE(test, test_bit(2, chunk->extra_refs));
	KUNIT_EXPECT_TRUE(test, splice_vm_dirty_log_next(to, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE * 4);
	KUNIT_EXPECT_EQ(test, gap_end, BASE * 5);
	splice_vm_dirty_log_destroy(to);
}

static struct kunit_case dirty_log_test_cases[] = {
	KUNIT_CASE(dirty_log_test_log),
	KUNIT_CASE(dirty_log_test_held),
	KUNIT_CASE(dirty_log_test_no_memory),
	KUNIT_CASE(dirty_log_test_full),
	KUNIT_CASE(dirty_log_test_scattered),
	KUNIT_CASE(dirty_log_test_merge),
	KUNIT_CASE(dirty_log_test_move_part),
	KUNIT_CASE(dirty_log_test_cut),
	KUNIT_CASE(dirty_log_test_next),
	KUNIT_CASE(dirty_log_test_put_back),
	KUNIT_CASE(dirty_log_test_unmapped),
	KUNIT_CASE(dirty_log_test_peek),
	KUNIT_CASE(dirty_log_test_take_chunks),
	KUNIT_CASE(dirty_log_test_move),
	{}
};

static int dirty_log_test_suite_init(struct kunit_suite *suite)
{
	return splice_vm_dirty_log_cache_create();
}

static void dirty_log_test_suite_exit(struct kunit_suite *suite)
{
	splice_vm_dirty_log_cache_destroy();
}

static struct kunit_suite dirty_log_test_suite = {
	.name = "splice_vm_dirty_log",
	.suite_init = dirty_log_test_suite_init,
	.suite_exit = dirty_log_test_suite_exit,
	.init = dirty_log_test_init,
	.exit = dirty_log_test_exit,
	.test_cases = dirty_log_test_cases,
};

kunit_test_suite(dirty_log_test_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests of splice_vm");
