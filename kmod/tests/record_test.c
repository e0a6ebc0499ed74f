// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of record.c and ranges.c, included whole: their functions are not exported. A module
 * of its own, made only where the kernel has KUnit built in.
 */
#include <kunit/test.h>
#include <linux/module.h>

#include "../ranges.c"
#include "../record.c"

#define BASE	(SPLICE_VM_CHUNK_SIZE * 8)
#define INDEX	8UL
#define RANGES	10240
#define PAGES(n) ((unsigned long)(n) << PAGE_SHIFT)

static int record_test_init(struct kunit *test)
{
	struct splice_vm_record *rec;

	rec = kunit_kzalloc(test, sizeof(*rec), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rec);
	splice_vm_record_init(rec);
	test->priv = rec;
	return 0;
}

static void record_test_exit(struct kunit *test)
{
	splice_vm_record_destroy(test->priv);
}

/* Pages of the chunk at BASE that are @what by now; all that is recorded goes. */
static unsigned int record_test_take(struct kunit *test, char what)
{
	struct splice_vm_chunk *chunk;
	const unsigned long *bits;

	chunk = kunit_kzalloc(test, sizeof(*chunk), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, chunk);
	splice_vm_record_take(test->priv, INDEX, chunk);
	bits = what == 'd' ? chunk->dirty :
	       what == 'h' ? chunk->held : chunk->logged;
	return bitmap_weight(bits, SPLICE_VM_CHUNK_PAGES);
}

static bool record_test_is_empty(struct kunit *test)
{
	unsigned long next, gap_end;

	return !splice_vm_record_next(test->priv, 0, &next, &gap_end);
}

static void record_test_log(struct kunit *test)
{
	struct splice_vm_record *rec = test->priv;
	struct splice_vm_chunk chunk;

	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(rec, 4, RANGES), 0);
	KUNIT_EXPECT_EQ(test, rec->nr_pool, 4);
	/* Over the border of two chunks, and nothing at all. */
	splice_vm_record_log(rec, BASE - PAGES(3), BASE + PAGES(2));
	splice_vm_record_log(rec, BASE, BASE);
	KUNIT_EXPECT_EQ(test, rec->nr_chunks, 2);
	KUNIT_EXPECT_EQ(test, record_test_take(test, 'l'), 2);
	splice_vm_record_take(rec, INDEX - 1, &chunk);
	KUNIT_EXPECT_EQ(test, bitmap_weight(chunk.logged,
					    SPLICE_VM_CHUNK_PAGES), 3);
	KUNIT_EXPECT_TRUE(test, test_bit(SPLICE_VM_CHUNK_PAGES - 1,
					 chunk.logged));
	KUNIT_EXPECT_TRUE(test, record_test_is_empty(test));
	KUNIT_EXPECT_EQ(test, rec->nr_pool, 4);
	KUNIT_EXPECT_EQ(test, rec->overflows, 0);
}

static void record_test_held(struct kunit *test)
{
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(held, SPLICE_VM_CHUNK_PAGES) = {};
	struct splice_vm_record *rec = test->priv;

	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(rec, 1, RANGES), 0);
	bitmap_set(dirty, 10, 4);
	bitmap_set(held, 10, 4);
	splice_vm_record_dirty(rec, INDEX, dirty, held);
	/* Two of them are written in a later epoch: no longer held only. */
	bitmap_clear(dirty, 12, 2);
	bitmap_zero(held, SPLICE_VM_CHUNK_PAGES);
	splice_vm_record_dirty(rec, INDEX, dirty, held);
	/* And held once more. */
	bitmap_set(held, 10, 2);
	splice_vm_record_dirty(rec, INDEX, dirty, held);
	KUNIT_EXPECT_EQ(test, record_test_take(test, 'h'), 2);

	splice_vm_record_dirty(rec, INDEX, dirty, held);
	KUNIT_EXPECT_EQ(test, record_test_take(test, 'd'), 2);
	KUNIT_EXPECT_TRUE(test, record_test_is_empty(test));
}

/* Without memory more is remembered than was said, never less. */
static void record_test_no_memory(struct kunit *test)
{
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	struct splice_vm_record *rec = test->priv;

	__set_bit(5, dirty);
	splice_vm_record_dirty(rec, INDEX, dirty, dirty);
	KUNIT_EXPECT_EQ(test, rec->overflows, 1);
	KUNIT_EXPECT_EQ(test, record_test_take(test, 'l'),
			SPLICE_VM_CHUNK_PAGES);
	splice_vm_record_log(rec, BASE + PAGES(7), BASE + PAGES(9));
	KUNIT_EXPECT_EQ(test, record_test_take(test, 'l'), 2);
	KUNIT_EXPECT_TRUE(test, record_test_is_empty(test));
}

static void record_test_full(struct kunit *test)
{
	struct splice_vm_record *rec = test->priv;
	unsigned long step = SPLICE_VM_CHUNK_SIZE * 2, addr, next, gap_end;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(rec, 0, RANGES), 0);
	for (i = 0; i < RANGES + 10; i++)
		splice_vm_record_log(rec, BASE + i * step,
				     BASE + i * step + SPLICE_VM_CHUNK_SIZE);
	KUNIT_EXPECT_EQ(test, rec->logged.nr, RANGES);
	KUNIT_EXPECT_EQ(test, rec->overflows, 10);
	for (i = 0; i < RANGES + 10; i++) {
		addr = BASE + i * step;
		KUNIT_ASSERT_TRUE(test, splice_vm_record_next(rec, addr, &next,
							      &gap_end));
		KUNIT_ASSERT_EQ(test, next, addr);
		KUNIT_ASSERT_GE(test, gap_end, addr + SPLICE_VM_CHUNK_SIZE);
	}
	/* A cut in the middle for which there is no room changes nothing. */
	splice_vm_record_cut(rec, BASE + PAGES(1), BASE + PAGES(2));
	KUNIT_EXPECT_EQ(test, record_test_take(test, 'l'),
			SPLICE_VM_CHUNK_PAGES);
}

/* What lies between scattered ranges is not in the set, in whatever order they came. */
static void record_test_scattered(struct kunit *test)
{
	struct splice_vm_record *rec = test->priv;
	unsigned long addr = 0, next, gap_end;
	unsigned int i, nr = 0;

	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(rec, 0, RANGES), 0);
	/* 7919 is a prime: all numbers below 10,000 come, in disorder. */
	for (i = 0; i < 10000; i++)
		splice_vm_record_unmap(rec, BASE + i * 7919UL % 10000 * PAGES(2),
				       BASE + i * 7919UL % 10000 * PAGES(2) +
				       PAGES(1));
	splice_vm_record_log_unmapped(rec);
	KUNIT_EXPECT_EQ(test, rec->overflows, 0);
	KUNIT_EXPECT_EQ(test, rec->unmapped.nr, 0);
	while (splice_vm_record_next(rec, addr, &next, &gap_end)) {
		KUNIT_ASSERT_EQ(test, next, BASE + nr++ * PAGES(2));
		KUNIT_ASSERT_EQ(test, gap_end, next + PAGES(1));
		addr = gap_end;
	}
	KUNIT_EXPECT_EQ(test, nr, 10000);
}

/* Those that overlap or touch become one, and their ranges are free again. */
static void record_test_merge(struct kunit *test)
{
	struct splice_vm_record *rec = test->priv;
	unsigned long addr, next, gap_end;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(rec, 0, RANGES), 0);
	for (i = 0; i < 3 * RANGES; i++) {
		splice_vm_record_unmap(rec, BASE + i * PAGES(1),
				       BASE + (i + 1) * PAGES(1));
	}
	KUNIT_EXPECT_EQ(test, rec->unmapped.nr, 1);
	splice_vm_record_unmap(rec, BASE - PAGES(9), BASE - PAGES(5));
	splice_vm_record_unmap(rec, BASE - PAGES(3), BASE - PAGES(2));
	KUNIT_EXPECT_EQ(test, rec->unmapped.nr, 3);
	addr = BASE - PAGES(5);
	KUNIT_EXPECT_TRUE(test, splice_vm_record_unmapped_touches(rec, addr,
								  BASE));
	addr = BASE - PAGES(12);
	KUNIT_EXPECT_FALSE(test, splice_vm_record_unmapped_touches(rec, addr,
								   addr));
	splice_vm_record_unmap(rec, BASE - PAGES(5), BASE);
	KUNIT_EXPECT_EQ(test, rec->unmapped.nr, 1);
	splice_vm_record_log_unmapped(rec);
	KUNIT_ASSERT_TRUE(test, splice_vm_record_next(rec, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE - PAGES(9));
	KUNIT_EXPECT_EQ(test, rec->overflows, 0);
}

/* Of a part: what lies outside of it stays, in a chunk that the border cuts as well. */
static void record_test_move_part(struct kunit *test)
{
	struct splice_vm_record *from = test->priv, *to;
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	unsigned long next, gap_end;

	to = kunit_kzalloc(test, sizeof(*to), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, to);
	splice_vm_record_init(to);
	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(from, 2, RANGES), 0);
	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(to, 2, RANGES), 0);
	bitmap_set(dirty, 0, 20);
	splice_vm_record_dirty(from, INDEX, dirty, dirty);
	splice_vm_record_log(from, BASE * 4, BASE * 6);
	splice_vm_record_move(to, from, BASE + PAGES(5), BASE * 5);
	KUNIT_EXPECT_EQ(test, record_test_take(test, 'd'), 5);
	KUNIT_ASSERT_TRUE(test, splice_vm_record_next(from, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE * 5);
	KUNIT_ASSERT_TRUE(test, splice_vm_record_next(to, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE);
	KUNIT_ASSERT_TRUE(test, splice_vm_record_next(to, BASE * 2, &next,
						      &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE * 4);
	KUNIT_EXPECT_EQ(test, gap_end, BASE * 5);
	splice_vm_record_destroy(to);
}

static void record_test_cut(struct kunit *test)
{
	struct splice_vm_record *rec = test->priv;
	unsigned long next, gap_end;

	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(rec, 0, RANGES), 0);
	splice_vm_record_log(rec, BASE, BASE + 4 * SPLICE_VM_CHUNK_SIZE);
	splice_vm_record_log(rec, BASE + 8 * SPLICE_VM_CHUNK_SIZE,
			     BASE + 9 * SPLICE_VM_CHUNK_SIZE);
	splice_vm_record_cut(rec, BASE + SPLICE_VM_CHUNK_SIZE,
			     BASE + 2 * SPLICE_VM_CHUNK_SIZE);
	KUNIT_EXPECT_EQ(test, rec->logged.nr, 3);
	KUNIT_ASSERT_TRUE(test, splice_vm_record_next(rec, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE);
	KUNIT_EXPECT_EQ(test, gap_end, BASE + SPLICE_VM_CHUNK_SIZE);
	KUNIT_ASSERT_TRUE(test, splice_vm_record_next(rec, gap_end, &next,
						      &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE + 2 * SPLICE_VM_CHUNK_SIZE);
	splice_vm_record_cut(rec, 0, ULONG_MAX);
	KUNIT_EXPECT_TRUE(test, record_test_is_empty(test));
	KUNIT_EXPECT_EQ(test, rec->logged.nr, 0);
}

/* A gap between chunks ends where the next chunk begins. */
static void record_test_next(struct kunit *test)
{
	struct splice_vm_record *rec = test->priv;
	unsigned long next, gap_end;

	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(rec, 2, RANGES), 0);
	splice_vm_record_log(rec, BASE, BASE + 4 * SPLICE_VM_CHUNK_SIZE);
	splice_vm_record_log(rec, BASE + 2 * SPLICE_VM_CHUNK_SIZE,
			     BASE + 2 * SPLICE_VM_CHUNK_SIZE + PAGES(1));
	KUNIT_ASSERT_TRUE(test, splice_vm_record_next(rec, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE);
	KUNIT_EXPECT_EQ(test, gap_end, BASE + 2 * SPLICE_VM_CHUNK_SIZE);
	KUNIT_ASSERT_TRUE(test, splice_vm_record_next(rec, gap_end, &next,
						      &gap_end));
	KUNIT_EXPECT_EQ(test, next, gap_end);
}

static void record_test_put_back(struct kunit *test)
{
	struct splice_vm_record *rec = test->priv;
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(held, SPLICE_VM_CHUNK_PAGES) = {};
	struct splice_vm_chunk chunk, rest;

	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(rec, 1, RANGES), 0);
	bitmap_set(dirty, 0, 20);
	bitmap_set(held, 15, 5);
	splice_vm_record_dirty(rec, INDEX, dirty, held);
	splice_vm_record_log(rec, BASE + PAGES(18), BASE + PAGES(30));
	splice_vm_record_take(rec, INDEX, &chunk);
	KUNIT_EXPECT_TRUE(test, record_test_is_empty(test));
	/* From 10 on it was not reported; meanwhile page 3 is written again. */
	bitmap_zero(dirty, SPLICE_VM_CHUNK_PAGES);
	__set_bit(3, dirty);
	splice_vm_record_dirty(rec, INDEX, dirty, held);
	splice_vm_record_put_back(rec, &chunk, 10, SPLICE_VM_CHUNK_PAGES);
	splice_vm_record_put_back(rec, &chunk, 10, 10);
	splice_vm_record_take(rec, INDEX, &rest);
	KUNIT_EXPECT_EQ(test, bitmap_weight(rest.dirty, SPLICE_VM_CHUNK_PAGES),
			11);
	KUNIT_EXPECT_EQ(test, bitmap_weight(rest.held, SPLICE_VM_CHUNK_PAGES),
			5);
	KUNIT_EXPECT_EQ(test, bitmap_weight(rest.logged, SPLICE_VM_CHUNK_PAGES),
			12);
	KUNIT_EXPECT_FALSE(test, test_bit(9, rest.dirty));
}

static void record_test_unmapped(struct kunit *test)
{
	struct splice_vm_record *rec = test->priv;

	splice_vm_record_unmap(rec, BASE, BASE + PAGES(3));
	KUNIT_EXPECT_TRUE(test, record_test_is_empty(test));
	splice_vm_record_log_unmapped(rec);
	KUNIT_EXPECT_EQ(test, record_test_take(test, 'l'), 3);
	splice_vm_record_log_unmapped(rec);
	KUNIT_EXPECT_TRUE(test, record_test_is_empty(test));
}

/* A copy, with what ranges say; nothing is taken. */
static void record_test_peek(struct kunit *test)
{
	struct splice_vm_record *rec = test->priv;
	struct splice_vm_chunk chunk;

	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(rec, 1, RANGES), 0);
	splice_vm_record_log(rec, BASE + PAGES(1), BASE + PAGES(2));
	splice_vm_record_log(rec, BASE - SPLICE_VM_CHUNK_SIZE, BASE + PAGES(1));
	KUNIT_ASSERT_TRUE(test, splice_vm_record_peek(rec, 0, &chunk));
	KUNIT_EXPECT_EQ(test, chunk.index, INDEX);
	KUNIT_EXPECT_EQ(test, bitmap_weight(chunk.logged,
					    SPLICE_VM_CHUNK_PAGES), 2);
	KUNIT_EXPECT_FALSE(test, splice_vm_record_peek(rec, INDEX + 1, &chunk));
	KUNIT_EXPECT_EQ(test, record_test_take(test, 'l'), 2);
}

/* All of it, as written; what was held only stays so, but where it was logged as well. */
static void record_test_move(struct kunit *test)
{
	struct splice_vm_record *from = test->priv, *to;
	DECLARE_BITMAP(dirty, SPLICE_VM_CHUNK_PAGES) = {};
	DECLARE_BITMAP(held, SPLICE_VM_CHUNK_PAGES) = {};
	struct splice_vm_chunk *chunk;
	unsigned long next, gap_end;

	to = kunit_kzalloc(test, sizeof(*to), GFP_KERNEL);
	chunk = kunit_kzalloc(test, sizeof(*chunk), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, to);
	KUNIT_ASSERT_NOT_NULL(test, chunk);
	splice_vm_record_init(to);
	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(from, 2, RANGES), 0);
	KUNIT_ASSERT_EQ(test, splice_vm_record_reserve(to, 2, RANGES), 0);
	bitmap_set(dirty, 1, 3);
	bitmap_set(held, 2, 2);
	splice_vm_record_dirty(from, INDEX, dirty, held);
	splice_vm_record_log(from, BASE + PAGES(3), BASE + PAGES(5));
	splice_vm_record_log(from, BASE * 4, BASE * 5);

	splice_vm_record_move(to, from, 0, ULONG_MAX & PAGE_MASK);
	KUNIT_EXPECT_TRUE(test, record_test_is_empty(test));
	splice_vm_record_take(to, INDEX, chunk);
	KUNIT_EXPECT_EQ(test, bitmap_weight(chunk->dirty,
					    SPLICE_VM_CHUNK_PAGES), 4);
	KUNIT_EXPECT_EQ(test, bitmap_weight(chunk->held,
					    SPLICE_VM_CHUNK_PAGES), 1);
	KUNIT_EXPECT_TRUE(test, test_bit(2, chunk->held));
	KUNIT_EXPECT_TRUE(test, splice_vm_record_next(to, 0, &next, &gap_end));
	KUNIT_EXPECT_EQ(test, next, BASE * 4);
	KUNIT_EXPECT_EQ(test, gap_end, BASE * 5);
	splice_vm_record_destroy(to);
}

static struct kunit_case record_test_cases[] = {
	KUNIT_CASE(record_test_log),
	KUNIT_CASE(record_test_held),
	KUNIT_CASE(record_test_no_memory),
	KUNIT_CASE(record_test_full),
	KUNIT_CASE(record_test_scattered),
	KUNIT_CASE(record_test_merge),
	KUNIT_CASE(record_test_move_part),
	KUNIT_CASE(record_test_cut),
	KUNIT_CASE(record_test_next),
	KUNIT_CASE(record_test_put_back),
	KUNIT_CASE(record_test_unmapped),
	KUNIT_CASE(record_test_peek),
	KUNIT_CASE(record_test_move),
	{}
};

static int record_test_suite_init(struct kunit_suite *suite)
{
	return splice_vm_record_cache_create();
}

static void record_test_suite_exit(struct kunit_suite *suite)
{
	splice_vm_record_cache_destroy();
}

static struct kunit_suite record_test_suite = {
	.name = "splice_vm_record",
	.suite_init = record_test_suite_init,
	.suite_exit = record_test_suite_exit,
	.init = record_test_init,
	.exit = record_test_exit,
	.test_cases = record_test_cases,
};

kunit_test_suite(record_test_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests of splice_vm");
