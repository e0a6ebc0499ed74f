// SPDX-License-Identifier: GPL-2.0
/* KUnit tests of runs.c, included whole as in dirty_log_test.c, whose module this is a part of. */
#include <kunit/test.h>

#include "../runs.c"

#define ADDR(page)	((u64)(page) << PAGE_SHIFT)
#define FEW		2
#define MOST		4

static int runs_test_init(struct kunit *test)
{
	struct splice_vm_runs *runs;

	runs = kunit_kzalloc(test, sizeof(*runs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, runs);
	test->priv = runs;
	return splice_vm_runs_init(runs, FEW, MOST);
}

static void runs_test_exit(struct kunit *test)
{
	splice_vm_runs_free(test->priv);
}

/* Only what follows, and is alike, becomes one run. */
static void runs_test_merge(struct kunit *test)
{
	struct splice_vm_runs *runs = test->priv;

	KUNIT_EXPECT_TRUE(test, splice_vm_runs_add(runs, ADDR(1), 1, 1));
	KUNIT_EXPECT_TRUE(test, splice_vm_runs_add(runs, ADDR(2), 3, 1));
	KUNIT_EXPECT_EQ(test, runs->nr, 1);
	KUNIT_EXPECT_EQ(test, runs->v[0].nr_pages, 4);
	KUNIT_EXPECT_TRUE(test, splice_vm_runs_add(runs, ADDR(5), 1, 2));
	KUNIT_EXPECT_EQ(test, runs->nr, 2);
	KUNIT_EXPECT_FALSE(test, splice_vm_runs_add(runs, ADDR(7), 1, 2));
	KUNIT_EXPECT_EQ(test, runs->nr, FEW);
	/* What needs no room of its own still goes in. */
	KUNIT_EXPECT_TRUE(test, splice_vm_runs_add(runs, ADDR(6), 1, 2));
}

/* A length has 32 bits. */
static void runs_test_long(struct kunit *test)
{
	struct splice_vm_runs *runs = test->priv;

	KUNIT_EXPECT_TRUE(test, splice_vm_runs_add(runs, 0, U32_MAX, 1));
	KUNIT_EXPECT_TRUE(test, splice_vm_runs_add(runs, ADDR(U32_MAX), 1, 1));
	KUNIT_EXPECT_EQ(test, runs->nr, 2);
	KUNIT_EXPECT_EQ(test, runs->v[0].nr_pages, U32_MAX);
}

/* What there is stays, and once is enough. */
static void runs_test_grow(struct kunit *test)
{
	struct splice_vm_runs *runs = test->priv;
	unsigned int i;

	for (i = 0; i < FEW; i++)
		KUNIT_EXPECT_TRUE(test, splice_vm_runs_add(runs, ADDR(2 * i), 1, 1));
	KUNIT_EXPECT_FALSE(test, splice_vm_runs_add(runs, ADDR(2 * i), 1, 1));
	KUNIT_ASSERT_TRUE(test, splice_vm_runs_grow(runs));
	for (; i < MOST; i++)
		KUNIT_EXPECT_TRUE(test, splice_vm_runs_add(runs, ADDR(2 * i), 1, 1));
	KUNIT_EXPECT_FALSE(test, splice_vm_runs_add(runs, ADDR(2 * i), 1, 1));
	KUNIT_EXPECT_FALSE(test, splice_vm_runs_grow(runs));
	for (i = 0; i < MOST; i++)
		KUNIT_EXPECT_EQ(test, runs->v[i].addr, ADDR(2 * i));
}

static struct kunit_case runs_test_cases[] = {
	KUNIT_CASE(runs_test_merge),
	KUNIT_CASE(runs_test_long),
	KUNIT_CASE(runs_test_grow),
	{}
};

static struct kunit_suite runs_test_suite = {
	.name = "splice_vm_runs",
	.init = runs_test_init,
	.exit = runs_test_exit,
	.test_cases = runs_test_cases,
};

kunit_test_suite(runs_test_suite);
