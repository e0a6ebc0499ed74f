// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include "base/page.h"
#include "criu/pagemap.h"
#include "services/page_copier.h"

/* Pages that are copied after one that could not go by reference: its neighbours are of its kind. */
#define COPY_AFTER	32

int page_copier_init(struct page_copier *copier, struct backend *backend, struct image_writer *writer,
		     struct pages_file *file, struct page_chain *parent, struct error *err)
{
	*copier = (struct page_copier){
		.backend = backend, .writer = writer, .file = file, .parent = parent,
		/* who compares must read */
		.references = !parent->nr && backend->ops->splice && pages_file_takes_references(file),
	};
	if (!parent->nr)
		return 0;
	copier->other = malloc(PAGES_FILE_BATCH * PAGE_BYTES);
	return copier->other ? 0 : error_errno(err, CODE_INTERNAL, NULL, "no memory for pages");
}

void page_copier_free(struct page_copier *copier)
{
	free(copier->other);
	copier->other = NULL;
}

static int put_entry(struct page_copier *copier, struct error *err)
{
	int ret = copier->entry.nr_pages ?
		  image_writer_entry(copier->writer, copier->entry.addr, copier->entry.nr_pages,
				     copier->entry.flags, err) : 0;

	copier->entry.nr_pages = 0;
	return ret;
}

static int note(struct page_copier *copier, uint64_t addr, uint64_t nr_pages, uint32_t flags,
		struct error *err)
{
	if (copier->entry.nr_pages && copier->entry.flags == flags &&
	    copier->entry.addr + copier->entry.nr_pages * PAGE_BYTES == addr) {
		copier->entry.nr_pages += nr_pages;
		return 0;
	}
	if (put_entry(copier, err))
		return -1;
	copier->entry.addr = addr;
	copier->entry.nr_pages = nr_pages;
	copier->entry.flags = flags;
	return 0;
}

/* Return: how many of the @nr pages of @addrs lie side by side */
static size_t side_by_side(const uint64_t *addrs, size_t nr)
{
	size_t i = 1;

	while (i < nr && addrs[i] == addrs[i - 1] + PAGE_BYTES)
		i++;
	return i;
}

/* What the parent lacks, or has otherwise, moves to the end of what the file has got. */
static int compare(struct page_copier *copier, uint64_t addr, const uint8_t *pages, size_t nr, bool has,
		   struct error *err)
{
	struct pages_file *file = copier->file;

	for (size_t i = 0; i < nr; i++, addr += PAGE_BYTES, pages += PAGE_BYTES) {
		uint8_t *to = file->buf + file->filled * PAGE_BYTES;
		bool same = has && !memcmp(pages, copier->other + i * PAGE_BYTES, PAGE_BYTES);

		if (note(copier, addr, 1, same ? PAGEMAP_PARENT : PAGEMAP_PRESENT, err))
			return -1;
		if (!same && to != pages)
			memcpy(to, pages, PAGE_BYTES);
		file->filled += !same;
		copier->counts.copied += !same;
		copier->counts.same += same;
	}
	return 0;
}

/* Return: whether the parent has the first @nr_pages, which become fewer; -1 with @err */
static int read_parent(struct page_copier *copier, uint64_t addr, uint64_t *nr_pages, struct error *err)
{
	struct page_place place;
	uint64_t want;
	int ret;

	if (!page_chain_find(copier->parent, addr, nr_pages, &place))
		return 0;
	want = *nr_pages;
	ret = page_chain_read(copier->parent, &place, nr_pages, copier->other, err);
	if (ret < 0 || (ret && *nr_pages == want))
		return ret;
	return error_set(err, CODE_CRIU, NULL, "the parent's pages are cut short");
}

static int compare_all(struct page_copier *copier, uint64_t addr, const uint8_t *pages, size_t nr,
		       struct error *err)
{
	while (nr) {
		uint64_t alike = nr;
		int has = read_parent(copier, addr, &alike, err);

		if (has < 0 || compare(copier, addr, pages, alike, has, err))
			return -1;
		addr += alike * PAGE_BYTES;
		pages += alike * PAGE_BYTES;
		nr -= alike;
	}
	return 0;
}

/* The @nr pages of @addrs have been read to the place that pages_file_room() told. */
static int take(struct page_copier *copier, const uint64_t *addrs, size_t nr, struct error *err)
{
	const uint8_t *pages = copier->file->buf + copier->file->filled * PAGE_BYTES;

	while (nr) {
		size_t run = side_by_side(addrs, nr);

		if (copier->other) {
			if (compare_all(copier, *addrs, pages, run, err))
				return -1;
		} else {
			if (note(copier, *addrs, run, PAGEMAP_PRESENT, err))
				return -1;
			copier->file->filled += run;
			copier->counts.copied += run;
		}
		pages += run * PAGE_BYTES;
		addrs += run;
		nr -= run;
	}
	return 0;
}

/* Return: pages, from the first on; 0: process_vm_readv() cannot read the first */
static size_t read_fast(struct page_copier *copier, const uint64_t *addrs, size_t nr, void *buf)
{
	struct iovec here = { buf, nr * PAGE_BYTES }, there[PAGES_FILE_BATCH];
	size_t pieces = 0;
	ssize_t n;

	for (size_t i = 0; i < nr;) {
		size_t run = side_by_side(addrs + i, nr - i);

		there[pieces++] = (struct iovec){ (void *)addrs[i], run * PAGE_BYTES };
		i += run;
	}
	n = process_vm_readv(copier->backend->pid, &here, 1, there, pieces, 0);
	return n > 0 ? n / PAGE_BYTES : 0;
}

/* Memory that the process itself must not read the backend may read. Return: as read_fast() */
static size_t read_forced(struct page_copier *copier, const uint64_t *addrs, size_t nr, void *buf)
{
	size_t run = side_by_side(addrs, nr), done = 0;
	struct error ignored = { 0 };

	copier->backend->ops->read(copier->backend, *addrs, buf, run * PAGE_BYTES, &done, &ignored);
	return done / PAGE_BYTES;
}

static int count_present(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	*(uint32_t *)ctx += nr;
	return 0;
}

static void note_left(struct page_copier *copier, uint64_t addr)
{
	struct page_left *last = copier->nr_left && copier->nr_left <= PAGE_LEFT_MAX ?
				 &copier->left[copier->nr_left - 1] : NULL;

	copier->counts.unreadable++;
	if (last && last->addr + last->nr * PAGE_BYTES == addr)
		last->nr++;
	else if (copier->nr_left++ < PAGE_LEFT_MAX)
		copier->left[copier->nr_left - 1] = (struct page_left){ addr, 1 };
}

static int leave_out(struct page_copier *copier, uint64_t addr, struct error *err)
{
	uint32_t there = 0;

	if (copier->backend->ops->populated(copier->backend, addr, addr + PAGE_BYTES, count_present, &there, err))
		return -1;
	if (there)
		note_left(copier, addr);
	else
		copier->counts.vanished++;
	return 0;
}

int page_copier_flush(struct page_copier *copier, struct error *err)
{
	const uint64_t *addrs = copier->addrs;
	size_t nr = copier->nr;

	copier->nr = 0;
	while (nr) {
		uint8_t *buf;
		size_t n;

		if (pages_file_room(copier->file, &buf, err))
			return -1;
		n = read_fast(copier, addrs, nr, buf);
		if (!n)
			n = read_forced(copier, addrs, nr, buf);
		if (n ? take(copier, addrs, n, err) : leave_out(copier, *addrs, err))
			return -1;
		addrs += n ?: 1;
		nr -= n ?: 1;
	}
	return 0;
}

/* Return: pages that went by reference; -1 with @err */
static ssize_t refer(struct page_copier *copier, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	size_t room, done;

	if (page_copier_flush(copier, err) || pages_file_pipe(copier->file, &room, err) ||
	    copier->backend->ops->splice(copier->backend, addr, nr_pages < room ? nr_pages : room,
					 copier->file->pipe[1], &done, err))
		return -1;
	if (done && note(copier, addr, done, PAGEMAP_PRESENT, err))
		return -1;
	copier->file->piped += done;
	copier->counts.by_reference += done;
	return done;
}

static int copy(struct page_copier *copier, uint64_t addr, size_t nr_pages, struct error *err)
{
	for (size_t i = 0; i < nr_pages; i++) {
		if (copier->nr == pages_file_batch(copier->file) && page_copier_flush(copier, err))
			return -1;
		copier->addrs[copier->nr++] = addr + i * PAGE_BYTES;
	}
	return 0;
}

int page_copier_add(struct page_copier *copier, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	while (nr_pages) {
		ssize_t n = copier->references ? refer(copier, addr, nr_pages, err) : 0;

		if (n < 0)
			return -1;
		if (!n) {
			n = copier->references && nr_pages > COPY_AFTER ? COPY_AFTER : nr_pages;
			if (copy(copier, addr, n, err))
				return -1;
		}
		addr += n * PAGE_BYTES;
		nr_pages -= n;
	}
	return 0;
}

int page_copier_finish(struct page_copier *copier, struct error *err)
{
	return page_copier_flush(copier, err) || put_entry(copier, err) || pages_file_flush(copier->file, err) ?
	       -1 : 0;
}
