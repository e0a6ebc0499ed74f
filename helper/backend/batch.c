// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "backend/batch.h"
#include "backend/run_list.h"
#include "base/page.h"
#include "wire/packed.h"

/* Fill the batch from the front of the runs; @skip pages of the first run are done. */
static void batch_fill(struct batch *batch, const struct splice_vm_run **runs, uint32_t *nr_runs,
		       uint32_t *skip)
{
	batch->nr = batch->nr_pages = 0;
	while (*nr_runs && batch->nr < BATCH_RUNS && batch->nr_pages < FRAME_MAX_PAGES) {
		uint32_t room = FRAME_MAX_PAGES - batch->nr_pages;
		uint32_t left = (*runs)->nr_pages - *skip, nr = left < room ? left : room;

		batch->runs[batch->nr++] = (struct splice_vm_run){
			.addr = (*runs)->addr + *skip * PAGE_BYTES, .nr_pages = nr,
		};
		batch->nr_pages += nr;
		*skip += nr;
		if (nr == left) {
			*skip = 0;
			(*runs)++;
			(*nr_runs)--;
		}
	}
}

/* Shorten the batch to @nr_pages pages. */
static void batch_cut(struct batch *batch, uint32_t nr_pages)
{
	uint32_t left = nr_pages;

	batch->nr_pages = nr_pages;
	batch->nr = 0;
	while (left) {
		struct splice_vm_run *run = &batch->runs[batch->nr++];

		if (run->nr_pages > left)
			run->nr_pages = left;
		left -= run->nr_pages;
	}
}

static bool page_is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE_BYTES - 1);
}

/* Find the pages of zeros, and move the other pages to the front of the buffer. */
static int batch_sort(const struct batch *batch, uint8_t *buf, struct run_list *results,
		      struct error *err)
{
	uint8_t *from = buf, *to = buf;

	for (uint32_t i = 0; i < batch->nr; i++) {
		uint64_t addr = batch->runs[i].addr;

		for (uint32_t j = 0; j < batch->runs[i].nr_pages; j++) {
			bool zero = page_is_zero(from);

			if (run_list_add(results, addr, 1, zero ? SPLICE_VM_RUN_IS_ZERO :
					 SPLICE_VM_RUN_SENT, err))
				return -1;
			if (!zero && from != to)
				memcpy(to, from, PAGE_BYTES);
			to += zero ? 0 : PAGE_BYTES;
			from += PAGE_BYTES;
			addr += PAGE_BYTES;
		}
	}
	return 0;
}

/** struct told - the results of a batch, for the caller's callback */
struct told {
	struct splice_vm_run runs[FRAME_MAX_PAGES];
	uint32_t nr;
};

static int told_take(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	struct told *told = ctx;

	memcpy(told->runs + told->nr, runs, nr * sizeof(*runs));
	told->nr += nr;
	return 0;
}

static int send_read(const struct batch *batch, struct backend_send *send, backend_runs_fn fn,
		     void *ctx, struct error *err)
{
	struct splice_vm_run pages[FRAME_MAX_PAGES];
	struct told told = { .nr = 0 };
	struct run_list results = { .fn = told_take, .ctx = &told };
	uint32_t nr = 0, nr_pages = 0;

	if (batch_sort(batch, send->buf, &results, err) || run_list_flush(&results, err))
		return -1;
	for (uint32_t i = 0; i < told.nr; i++)
		if (told.runs[i].flags & SPLICE_VM_RUN_SENT) {
			pages[nr++] = told.runs[i];
			nr_pages += told.runs[i].nr_pages;
		}
	if (nr && packer_send(send->packer, send->conn, send->cookie, pages, nr, send->buf, err))
		return -1;
	send->pages += nr_pages;
	send->copied += nr_pages;
	send->bytes += nr_pages * PAGE_BYTES;
	return fn(ctx, told.runs, told.nr, err);
}

static void confirm(struct backend *backend, const struct batch_way *way, const struct batch *batch)
{
	if (way->confirm)
		way->confirm(backend, batch);
}

/* Read one page that the quick way cannot read, or report it as gone. */
static int first_by_itself(struct backend *backend, const struct batch_way *way, const struct batch *batch,
			   struct backend_send *send, backend_runs_fn fn, void *ctx,
			   struct error *err)
{
	struct batch one = { .runs = { batch->runs[0] }, .nr = 1 };
	size_t done;

	batch_cut(&one, 1);
	if (backend->ops->read(backend, one.runs[0].addr, send->buf, PAGE_BYTES, &done, err))
		return -1;
	confirm(backend, way, &one);
	if (done == PAGE_BYTES)
		return send_read(&one, send, fn, ctx, err);
	one.runs[0].flags = SPLICE_VM_RUN_GONE;
	return fn(ctx, one.runs, 1, err);
}

static int send_all(struct backend *backend, const struct batch_way *way, struct batch *batch,
		    struct backend_send *send, const struct splice_vm_run *runs, uint32_t nr_runs,
		    backend_runs_fn fn, void *ctx, struct error *err)
{
	uint32_t skip = 0;

	while (nr_runs) {
		const struct splice_vm_run *at = runs;
		uint32_t at_nr = nr_runs, at_skip = skip, nr;
		uint64_t done;
		int ret;

		batch_fill(batch, &at, &at_nr, &at_skip);
		nr = way->read(backend, batch, send->buf);
		if (nr) {
			batch_cut(batch, nr);
			confirm(backend, way, batch);
			ret = send_read(batch, send, fn, ctx, err);
		} else {
			ret = first_by_itself(backend, way, batch, send, fn, ctx, err);
		}
		if (ret)
			return -1;
		for (done = nr ?: 1; done && done >= runs->nr_pages - skip;) {
			done -= runs->nr_pages - skip;
			skip = 0;
			runs++;
			if (!--nr_runs)
				break;
		}
		skip += done;
	}
	return 0;
}

int batch_send(struct backend *backend, const struct batch_way *way, struct backend_send *send,
	       const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn, void *ctx,
	       struct error *err)
{
	struct batch *batch = malloc(sizeof(*batch));
	int ret;

	if (!batch)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory to copy pages");
	ret = send_all(backend, way, batch, send, runs, nr_runs, fn, ctx, err);
	free(batch);
	return ret;
}
