/* SPDX-License-Identifier: GPL-2.0 */
/* A model of memory that the program writes to at any moment, and rounds by parts of it. Included by one test, after cmocka.h. */
#ifndef MIGRATE_TESTS_PARTS_MODEL_H
#define MIGRATE_TESTS_PARTS_MODEL_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
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

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
