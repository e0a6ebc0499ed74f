// SPDX-License-Identifier: GPL-2.0
/* Rounds by parts, with a model of memory that the program writes to at any moment. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "pages/sets.h"
#include "source/parts.h"
#include "tests/fake_backend.h"
#include "tests/precopy_kit.h"

#define PART	4096UL
#define PAGES	(3 * PART)
/* Pages behind the mapping: the program has mapped them behind the list of mappings. */
#define BEHIND	8UL
#define LOG	64

/** struct page - of the model. @sent: the version that was sent last; 0: none. @times: so often */
struct page {
	uint32_t version, sent, times;
	bool here, protected, dropped;
};

/** struct model - a backend on pages. @writes: so many at each occasion. @part_log: pages sent when a part was taken */
struct model {
	struct backend backend;
	struct page pages[PAGES + BEHIND];
	unsigned int writes, seed, lists, parts, part_log[LOG], nr_log;
	uint64_t sent;
	void (*on_list)(struct model *model), (*on_send)(struct model *model);
};

struct bench {
	struct model model;
	struct precopy_kit kit;
};

static struct model *model_of(struct backend *backend)
{
	return (struct model *)backend;
}

static void write_page(struct page *page)
{
	page->here = true;
	page->version++;
	page->protected = false;
}

static void write_some(struct model *model)
{
	for (unsigned int i = 0; i < model->writes; i++)
		write_page(&model->pages[rand_r(&model->seed) % PAGES]);
}

static int tell(size_t page, uint32_t flags, backend_runs_fn fn, void *ctx, struct error *err)
{
	struct splice_vm_run run = run_of(page, 1, flags);

	return fn(ctx, &run, 1, err);
}

static int model_track(struct backend *backend, struct error *err)
{
	return 0;
}

static int model_list(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err)
{
	struct model *model = model_of(backend);

	model->lists++;
	for (size_t i = 0; i < PAGES + BEHIND; i++)
		if (model->pages[i].here && !model->pages[i].protected &&
		    tell(i, SPLICE_VM_RUN_DIRTY, fn, ctx, err))
			return -1;
	if (model->on_list)
		model->on_list(model);
	write_some(model);
	return 0;
}

static int take_page(struct model *model, size_t i, backend_runs_fn fn, void *ctx, struct error *err)
{
	struct page *page = &model->pages[i];

	if (page->dropped) {
		page->dropped = false;
		if (!page->here)
			return tell(i, SPLICE_VM_RUN_DROPPED, fn, ctx, err);
	}
	if (!page->here || page->protected)
		return 0;
	page->protected = true;
	return tell(i, SPLICE_VM_RUN_DIRTY, fn, ctx, err);
}

static int model_scan_part(struct backend *backend, uint64_t start, uint64_t end,
			   backend_runs_fn fn, void *ctx, struct error *err)
{
	struct model *model = model_of(backend);

	model->parts++;
	if (model->nr_log < LOG)
		model->part_log[model->nr_log++] = model->sent;
	for (size_t i = 0; i < PAGES + BEHIND; i++)
		if (AT(i) >= start && AT(i) < end && take_page(model, i, fn, ctx, err))
			return -1;
	write_some(model);
	return 0;
}

static int model_scan(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err)
{
	model_of(backend)->parts--;
	return model_scan_part(backend, 0, USER_END, fn, ctx, err);
}

static int model_send(struct backend *backend, struct backend_send *send,
		      const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
		      void *ctx, struct error *err)
{
	struct model *model = model_of(backend);

	for (uint32_t i = 0; i < nr_runs; i++) {
		struct splice_vm_run run = runs[i];
		struct page *page = &model->pages[(run.addr - FAKE_BASE) / PAGE_BYTES];

		for (uint32_t nr = 0; nr < run.nr_pages; nr++) {
			page[nr].sent = page[nr].version;
			page[nr].times++;
		}
		model->sent += run.nr_pages;
		run.flags = SPLICE_VM_RUN_SENT;
		if (fn(ctx, &run, 1, err))
			return -1;
		write_some(model);
	}
	if (model->on_send)
		model->on_send(model);
	return 0;
}

static const struct backend_ops model_ops = {
	.name = "model", .track = model_track, .scan = model_scan, .list = model_list,
	.scan_part = model_scan_part, .send = model_send, .is_gone = fake_is_gone,
	.overflows = fake_overflows, .close = fake_close,
};

static struct source_mm *mm_of(struct bench *bench)
{
	return &tree_root(&bench->kit.tree)->mm;
}

static int make_tree(struct bench *bench)
{
	void *at = mmap((void *)FAKE_BASE, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	struct source_process *process;

	process = at == (void *)FAKE_BASE ? tree_add(&bench->kit.tree, getpid(), &bench->kit.err) : NULL;
	if (!process || source_mm_read_vmas(&process->mm, &bench->kit.err))
		return -1;
	bench->model.backend = (struct backend){
		.ops = &model_ops, .tracker = "write-protect", .tracks = true, .criu_tracks = true,
		.by_parts = true, .gone_fd = -1,
	};
	for (size_t i = 0; i < PAGES; i++)
		write_page(&bench->model.pages[i]);
	process->mm.backend = &bench->model.backend;
	return 0;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	*state = bench;
	return make_tree(bench) ||
	       precopy_kit_open(&bench->kit, 1, 4) ? -1 : 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	precopy_kit_close(&bench->kit);
	munmap((void *)FAKE_BASE, PAGES * PAGE_BYTES);
	free(bench);
	return 0;
}

static void run(struct bench *bench)
{
	precopy_kit_run(&bench->kit);
}

/* The program stands: the last scan. Return: pages that the destination has, and has of old */
static uint64_t old_pages(struct bench *bench, struct source_mm *mm)
{
	struct model *model = &bench->model;
	uint64_t old = 0;
	struct run run;

	model->writes = 0;
	mm->begun = false;
	assert_int_equal(scan_mm(mm, &bench->kit.sender, &bench->kit.err), 0);
	for (uint64_t at = 0; page_set_next(&mm->dirty, at, USER_END, 1, &run); at = run.addr + PAGE_BYTES)
		page_set_remove(&mm->dest_current, run.addr, 1);
	for (size_t i = 0; i < PAGES + BEHIND; i++)
		old += page_set_has(&mm->dest_current, AT(i)) &&
		       model->pages[i].sent != model->pages[i].version;
	return old;
}

/* A part is taken when all pages of the part before were sent. */
static void parts_are_sent_one_by_one(void **state)
{
	struct bench *bench = *state;
	struct model *model = &bench->model;

	run(bench);
	assert_int_equal(bench->kit.pre.rounds, 1);
	assert_int_equal(model->lists, 2);
	assert_int_equal(model->parts, 4);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(model->part_log[i], i * PART);
	assert_int_equal(model->sent, PAGES);
	assert_int_equal(mm_of(bench)->dest_current.nr, PAGES);
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

static void no_write_is_lost(void **state)
{
	struct bench *bench = *state;

	bench->model.seed = 7;
	bench->model.writes = 40;
	run(bench);
	assert_true(bench->kit.pre.rounds > 1);
	assert_true(bench->model.sent > PAGES);
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
	assert_true(mm_of(bench)->dest_current.nr > 0);
}

static int ignore_runs(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	return 0;
}

/* The control of the test above: whoever sends a part before it is taken loses writes. */
static void sending_before_taking_loses(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = mm_of(bench);
	struct backend_send send = { 0 };
	struct splice_vm_run whole = run_of(0, PART, 0);
	struct scan_sum sum = { 0 };

	bench->model.seed = 7;
	bench->model.writes = 40;
	assert_int_equal(page_set_add(&mm->dest_current, AT(0), PART, &bench->kit.err), 0);
	assert_int_equal(model_send(&bench->model.backend, &send, &whole, 1, ignore_runs, NULL,
				    &bench->kit.err), 0);
	assert_int_equal(scan_part(mm, &bench->kit.sender, 0, USER_END, &sum, &bench->kit.err), 0);
	sets_clear(&mm->dirty);
	assert_true(old_pages(bench, mm) > 0);
}

/* Written twice before its part is taken: sent once. */
static void rewrite_all(struct model *model)
{
	for (size_t i = 0; model->lists == 1 && i < PAGES; i++)
		write_page(&model->pages[i]);
}

static void pages_written_before_their_part_go_once(void **state)
{
	struct bench *bench = *state;

	bench->model.on_list = rewrite_all;
	run(bench);
	assert_int_equal(bench->model.sent, PAGES);
	assert_int_equal(bench->kit.pre.rounds, 1);
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

static void map_behind(struct model *model)
{
	for (size_t i = PAGES; i < PAGES + BEHIND; i++)
		write_page(&model->pages[i]);
}

/* Its mapping is not announced yet: the page is not lost for it. */
static void a_mapping_behind_the_list_is_put_off(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = mm_of(bench);
	struct scan_sum sum = { 0 };

	assert_int_equal(scan_list(mm, &bench->kit.err), 0);
	map_behind(&bench->model);
	assert_int_equal(scan_part(mm, &bench->kit.sender, 0, USER_END, &sum, &bench->kit.err), 0);
	assert_int_equal(sum.dirty, PAGES + BEHIND);
	assert_int_equal(mm->dirty.nr, PAGES);
	assert_int_equal(mm->later.nr, BEHIND);
	assert_int_equal(source_mm_end_round(mm, &bench->kit.err), 0);
	assert_int_equal(mm->dirty.nr, BEHIND);
	assert_int_equal(mm->later.nr, 0);
}

/* An old page of an earlier mapping is at the destination: a filter would leave it there for current. */
static void an_old_page_without_a_mapping_stays_dirty(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = mm_of(bench);
	struct scan_sum sum = { 0 };

	assert_int_equal(page_set_add(&mm->dest_current, AT(PAGES), 1, &bench->kit.err), 0);
	map_behind(&bench->model);
	assert_int_equal(scan_part(mm, &bench->kit.sender, 0, USER_END, &sum, &bench->kit.err), 0);
	assert_false(page_set_has(&mm->dirty, AT(PAGES)));
	assert_true(page_set_has(&mm->later, AT(PAGES)));
}

/* The destination has made room for what was listed. */
static void new_memory_waits_for_the_next_round(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = mm_of(bench);
	struct scan_sum sum = { 0 };

	for (size_t i = 0; i < PART; i++)
		bench->model.pages[i].here = i >= 100;
	assert_int_equal(scan_list(mm, &bench->kit.err), 0);
	for (size_t i = 0; i < 100; i++)
		write_page(&bench->model.pages[i]);
	assert_int_equal(scan_part(mm, &bench->kit.sender, 0, USER_END, &sum, &bench->kit.err), 0);
	assert_int_equal(mm->dirty.nr, PAGES - 100);
	assert_int_equal(mm->later.nr, 100);
}

/* Five pages behind the first list, and five behind the second one. */
static void drop_some(struct model *model)
{
	for (size_t i = 0; model->lists <= 2 && i < 5; i++)
		model->pages[5 * model->lists + i] = (struct page){ .dropped = true };
}

/* The destination has nothing in the first round that could be dropped. */
static void drops_are_told_from_the_second_round_on(void **state)
{
	struct bench *bench = *state;

	bench->model.on_list = drop_some;
	bench->model.seed = 3;
	bench->model.writes = 1;
	bench->kit.pre.rule.max_rounds = 2;
	run(bench);
	assert_int_equal(bench->kit.dest.seen[1].rounds, 2);
	assert_int_equal(bench->kit.dest.seen[1].dropped, 5);
	assert_false(page_set_has(&mm_of(bench)->dest_current, AT(10)));
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

/* What the last list has found is taken, and told as old, before the program stands. */
static void the_last_list_is_taken(void **state)
{
	struct bench *bench = *state;

	bench->model.seed = 3;
	bench->model.writes = 40;
	run(bench);
	assert_true(bench->kit.dest.seen[1].stale > 0);
	assert_int_equal(mm_of(bench)->dirty.nr, 0);
}

static void write_parts(struct model *model)
{
	for (size_t i = 0; model->lists == 2 && i < 2 * PART; i++)
		write_page(&model->pages[i]);
}

/* The last list has nothing, and much is taken: it does not wait until the program stands. */
static void what_no_list_has_gets_a_round(void **state)
{
	struct bench *bench = *state;

	bench->model.on_list = write_parts;
	run(bench);
	assert_int_equal(bench->kit.pre.rounds, 2);
	assert_int_equal(bench->model.sent, PAGES + 2 * PART);
	assert_int_equal(bench->kit.dest.seen[1].stale, 0);
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

#define HOT	50UL
#define COLD	2048UL	/* of the same part: half of them in the first round, half of the rest in the next one */

static void write_cold(struct model *model)
{
	size_t first = HOT + COLD - (COLD >> (model->lists - 1));

	for (size_t i = 0; i < COLD >> model->lists; i++)
		write_page(&model->pages[first + i]);
}

/* Behind their part, in each round: the hot ones, and fewer and fewer others. @until: the last round of the hot ones */
static void write_in_round(struct model *model, unsigned int until)
{
	for (size_t i = 0; model->lists <= until && i < HOT; i++)
		write_page(&model->pages[i]);
	write_cold(model);
}

static void write_hot(struct model *model)
{
	write_in_round(model, 100);
}

static void write_hot_for_a_while(struct model *model)
{
	write_in_round(model, 4);
}

/* Three times, as nobody can know it before; then they wait until the program stands. */
static void hot_pages_are_sent_last(void **state)
{
	struct bench *bench = *state;
	const struct round_figures *rounds;

	bench->model.on_send = write_hot;
	bench->kit.pre.rule.max_rounds = 6;
	run(bench);
	rounds = bench->kit.figures.rounds;
	assert_int_equal(bench->kit.pre.rounds, 6);
	for (size_t i = 0; i < HOT; i++)
		assert_int_equal(bench->model.pages[i].times, 3);
	assert_int_equal(rounds[2].put_off, 0);
	for (size_t i = 3; i < 6; i++)
		assert_int_equal(rounds[i].put_off, HOT);
	assert_true(bench->kit.dest.seen[1].stale >= HOT);
	for (size_t i = 0; i < HOT; i++)
		assert_false(page_set_has(&mm_of(bench)->dest_current, AT(i)));
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

/* Not written in one round, and not hot any more: the next one sends them. */
static void pages_that_cool_down_are_sent(void **state)
{
	struct bench *bench = *state;

	bench->model.on_send = write_hot_for_a_while;
	bench->kit.pre.rule.max_rounds = 7;
	run(bench);
	for (size_t i = 0; i < HOT; i++) {
		assert_int_equal(bench->model.pages[i].times, 4);
		assert_true(page_set_has(&mm_of(bench)->dest_current, AT(i)));
	}
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

/* Which pages it will write is not known when it gets less CPU time. */
static void a_throttled_program_has_no_hot_pages(void **state)
{
	struct bench *bench = *state;
	struct throttle throttle = { .percentage = 50 };

	bench->model.on_send = write_hot;
	bench->kit.pre.rule.max_rounds = 6;
	bench->kit.pre.throttle = &throttle;
	run(bench);
	for (size_t i = 0; i < HOT; i++)
		assert_int_equal(bench->model.pages[i].times, bench->kit.pre.rounds);
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

/* A page that is gone is not sent when it cools down. */
static void drop_hot(struct model *model)
{
	if (model->lists < 5)
		write_hot(model);
	for (size_t i = 0; model->lists == 5 && i < HOT; i++)
		model->pages[i] = (struct page){ .dropped = true, .times = model->pages[i].times };
	if (model->lists >= 5)
		write_cold(model);
}

static void hot_pages_are_dropped(void **state)
{
	struct bench *bench = *state;

	bench->model.on_send = drop_hot;
	bench->kit.pre.rule.max_rounds = 7;
	run(bench);
	assert_int_equal(bench->kit.dest.seen[1].dropped, HOT);
	for (size_t i = 0; i < HOT; i++)
		assert_false(page_set_has(&mm_of(bench)->dest_current, AT(i)));
	assert_int_equal(old_pages(bench, mm_of(bench)), 0);
}

static void relatives_are_scanned_at_once(void **state)
{
	struct bench *bench = *state;
	struct source_process *parent = tree_root(&bench->kit.tree);
	struct source_process *child = tree_add(&bench->kit.tree, getpid(), &bench->kit.err);

	parent->mm.tracked = true;
	child->mm.tracked = true;
	child->mm.backend = &bench->model.backend;
	child->inherit.parent = 0;
	assert_true(parts_can(&bench->kit.tree, parent));
	child->inherit.parent = parent->mm.object;
	assert_false(parts_can(&bench->kit.tree, parent));
	assert_false(parts_can(&bench->kit.tree, child));
	child->inherit.apart = true;
	assert_true(parts_can(&bench->kit.tree, parent));
	assert_true(parts_can(&bench->kit.tree, child));
	bench->model.backend.by_parts = false;
	assert_false(parts_can(&bench->kit.tree, parent));
	child->inherit.parent = 0;
	child->mm.backend = NULL;
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(parts_are_sent_one_by_one), BENCH_TEST(no_write_is_lost),
		BENCH_TEST(sending_before_taking_loses),
		BENCH_TEST(pages_written_before_their_part_go_once),
		BENCH_TEST(a_mapping_behind_the_list_is_put_off),
		BENCH_TEST(an_old_page_without_a_mapping_stays_dirty),
		BENCH_TEST(new_memory_waits_for_the_next_round),
		BENCH_TEST(drops_are_told_from_the_second_round_on),
		BENCH_TEST(the_last_list_is_taken), BENCH_TEST(what_no_list_has_gets_a_round),
		BENCH_TEST(hot_pages_are_sent_last), BENCH_TEST(pages_that_cool_down_are_sent),
		BENCH_TEST(a_throttled_program_has_no_hot_pages), BENCH_TEST(hot_pages_are_dropped),
		BENCH_TEST(relatives_are_scanned_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
