// SPDX-License-Identifier: GPL-2.0
/*
 * Frames of the source into a mirror. Input: a byte of flags, then frames as they are on the
 * wire, but one byte stands for a page of a PAGES frame, which it fills, so that inputs stay short.
 */
#include <endian.h>
#include <string.h>
#include <unistd.h>
#include "dest/receiver.h"
#include "fuzz/common.h"
#include "tests/mm_hooks.h"

#define BASE		0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)
#define MM		7
#define OTHER		8	/* has the first pages too, and its list is complete */
#define OTHER_PAGES	40UL
#define PAGES_MAX	128	/* pages of an input: what the socket holds */

#define FLAG_URGENT	1	/* it is the urgent connection */
#define FLAG_SEAL	2	/* CRIU restores as soon as FINAL came */
#define FLAG_PARTLY	4	/* and takes only some of the pages lazily */
#define FLAG_GATE	8	/* control has not announced the round */

static const struct mirror_range ranges[] = {
	{ AT(0), AT(100) }, { AT(100), AT(120) }, { AT(200), AT(300) },
};

#define ANNOUNCED	220UL	/* pages of these */

struct bench {
	struct objects objects;
	struct mm *mm, *other;
	struct budget budget;
	uint8_t flags;
};

static int gate(void *ctx, uint32_t round, struct error *err)
{
	struct bench *bench = ctx;

	if (bench->flags & FLAG_GATE && round != RECEIVE_FROZEN)
		return error_set(err, CODE_PEER, NULL, "not announced");
	return 0;
}

static int on_round(void *ctx, uint32_t round, struct error *err)
{
	return 0;
}

static int on_final(void *ctx, uint64_t have, uint64_t lack, struct error *err)
{
	struct bench *bench = ctx;
	struct page_set lazy;
	int ret;

	fuzz_assert(have + lack <= ANNOUNCED + OTHER_PAGES);
	if (!(bench->flags & FLAG_SEAL))
		return 0;
	page_set_init(&lazy);
	if (page_set_add(&lazy, AT(0), bench->flags & FLAG_PARTLY ? 50 : 300, err))
		abort();
	ret = mm_seal(bench->mm, &lazy, err) || mm_seal(bench->other, &lazy, err) ? -1 : 0;
	page_set_destroy(&lazy);
	return ret;
}

static void on_lost(void *ctx, const struct mm *mm, uint64_t nr_pages)
{
	struct bench *bench = ctx;

	fuzz_assert(nr_pages && ((mm == bench->mm && nr_pages <= ANNOUNCED) ||
				 (mm == bench->other && nr_pages <= OTHER_PAGES)));
}

/* Return: pages of the frame at the start of @in that the socket can hold, or 0 */
static size_t pages_of(const struct fuzz_input *in)
{
	struct splice_vm_batch head;
	size_t nr;

	if (in->size < sizeof(head))
		return 0;
	memcpy(&head, in->data, sizeof(head));
	nr = le32toh(head.nr_pages);
	return le32toh(head.magic) == FRAME_PAGES && nr <= PAGES_MAX ? nr : 0;
}

static size_t runs_of(const struct fuzz_input *in)
{
	struct splice_vm_batch head;

	if (in->size < sizeof(head))
		return 0;
	memcpy(&head, in->data, sizeof(head));
	return le32toh(head.nr_runs);
}

static int feed(struct fuzz_input *in)
{
	struct fuzz_pipe pipe = fuzz_pipe_open();
	size_t left = PAGES_MAX;

	while (in->size) {
		size_t pages = pages_of(in), runs = runs_of(in);
		struct fuzz_input frame;

		frame = fuzz_take(in, sizeof(struct splice_vm_batch) +
				  runs * sizeof(struct splice_vm_run));
		fuzz_pipe_put(&pipe, frame.data, frame.size);
		for (; pages && left; pages--, left--) {
			uint8_t page[PAGE_BYTES];

			memset(page, fuzz_byte(in), sizeof(page));
			fuzz_pipe_put(&pipe, page, sizeof(page));
		}
	}
	fuzz_pipe_end(&pipe);
	return pipe.fd;
}

/* All that @set counts is in what was announced. */
static bool is_within(const struct page_set *set)
{
	uint64_t nr = 0;
	struct run run;

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		for (uint64_t at = ranges[i].start; page_set_next(set, at, ranges[i].end, 0, &run);
		     at = run.addr + run.nr_pages * PAGE_BYTES)
			nr += run.nr_pages;
	return nr == set->nr;
}

static void make_mms(struct bench *bench)
{
	const struct splice_vm_run run = { .addr = AT(0), .nr_pages = OTHER_PAGES };
	struct error err = { 0 };

	bench->mm = objects_add_mm(&bench->objects, MM, 1, &err);
	bench->other = objects_add_mm(&bench->objects, OTHER, 2, &err);
	fuzz_assert(bench->mm && bench->other);
	fuzz_assert(!mm_announce(bench->mm, ranges, 3, &err));
	fuzz_assert(!mm_announce(bench->other, ranges, 3, &err));
	fuzz_assert(!mm_populate(bench->other, &run, 1, &err));
	bench->other->listed = true;
}

static void check(const struct mm *mm)
{
	fuzz_assert(is_within(&mm->mirror.have));
	fuzz_assert(is_within(&mm->populated));
	fuzz_assert(is_within(&mm->wanted.pages));
	fuzz_assert(!mm->lost.nr || is_within(&mm->lost));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct bench bench = { .flags = fuzz_byte(&in) };
	int fds = fuzz_fds();
	struct error err = { 0 };
	struct receiver receiver = {
		.urgent = bench.flags & FLAG_URGENT, .objects = &bench.objects,
		.unpacker = { .codecs = CODEC_ALL },
		.hooks = { .gate = gate, .round = on_round, .final = on_final,
			   .lost = on_lost, .ctx = &bench },
	};
	struct conn conn;
	int ret;

	budget_init(&bench.budget, NULL, NULL);
	fuzz_assert(!budget_announce(&bench.budget, BUDGET_MIRROR, 2 * ANNOUNCED * PAGE_BYTES, &err));
	objects_init(&bench.objects, &no_mm_hooks, &bench.budget, NULL);
	make_mms(&bench);
	conn = (struct conn){ .fd = feed(&in) };
	receiver.conn = &conn;
	ret = receiver_run(&receiver, &err);
	fuzz_error_fits(ret, &err);
	check(bench.mm);
	check(bench.other);
	fuzz_assert(bench.budget.used[BUDGET_MIRROR] ==
		    (bench.mm->mirror.have.nr + bench.other->mirror.have.nr) * PAGE_BYTES);
	conn_close(&conn);
	objects_destroy(&bench.objects);
	pthread_mutex_destroy(&bench.budget.lock);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
