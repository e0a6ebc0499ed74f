// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/io.h"
#include "base/text.h"
#include "dest/verify.h"
#include "pages/sets.h"
#include "wire/stream.h"

#define MAX_PIECES	(1u << 24)
#define NAMED		4	/* differing pages that the message names */

#define PAGEMAP_PRESENT	(1UL << 63)
#define PAGEMAP_SWAPPED	(1UL << 62)
#define PAGEMAP_FILE	(1UL << 61)
#define PAGEMAP_AT_ONCE	512

/* The differing pages: their number, and the addresses of the first few. */
struct differences {
	uint64_t addrs[NAMED];
	size_t nr;
};

static int piece_order(const void *a, const void *b)
{
	const struct verify_piece *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

const struct verify_piece *verify_of(const struct verify *verify, uint32_t object, size_t *nr)
{
	size_t low = 0, high = verify->nr;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (verify->pieces[mid].object < object)
			low = mid + 1;
		else
			high = mid;
	}
	for (*nr = 0; low + *nr < verify->nr && verify->pieces[low + *nr].object == object;)
		(*nr)++;
	return *nr ? &verify->pieces[low] : NULL;
}

int verify_add(struct verify *verify, const Migrate__Digests *digests, struct error *err)
{
	size_t nr = verify->nr + digests->n_runs;

	if (verify->complete)
		return error_set(err, CODE_PEER, NULL, "the source sent digests after the last one");
	if (nr > verify->cap) {
		struct verify_piece *pieces;

		if (nr > MAX_PIECES)
			return error_set(err, CODE_PEER, NULL, "the source sent too many digests");
		if (budget_take(verify->budget, BUDGET_BOOKS,
				(2 * nr - verify->cap) * sizeof(*pieces), err))
			return -1;
		pieces = realloc(verify->pieces, 2 * nr * sizeof(*pieces));
		if (!pieces)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for digests");
		verify->pieces = pieces;
		verify->cap = 2 * nr;
	}
	for (size_t i = 0; i < digests->n_runs; i++) {
		const Migrate__DigestRun *run = digests->runs[i];

		if (!run->nr_pages || run->nr_pages > FRAME_MAX_PAGES ||
		    run->addr & (PAGE_BYTES - 1) ||
		    run->addr >= USER_END - run->nr_pages * PAGE_BYTES)
			return error_set(err, CODE_PEER, NULL, "the source sent a wrong digest");
		/* the budget is settled by now, and refuses none */
		verify->pages += run->nr_pages;
		if (verify->pages > budget_listed(verify->budget) / PAGE_BYTES)
			return error_set(err, CODE_PEER, NULL,
					 "the source sent digests of more pages than it has listed");
		verify->pieces[verify->nr++] = (struct verify_piece){
			.addr = run->addr, .nr_pages = run->nr_pages, .xxh3 = run->xxh3,
			.object = digests->object,
		};
	}
	verify->complete = digests->last;
	/* each of many processes looks for its own */
	if (verify->complete && verify->nr)
		qsort(verify->pieces, verify->nr, sizeof(*verify->pieces), piece_order);
	return 0;
}

void verify_free(struct verify *verify)
{
	free(verify->pieces);
	memset(verify, 0, sizeof(*verify));
}

static int open_proc(pid_t pid, const char *name, struct error *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		error_errno(err, CODE_CRIU, NULL, "cannot open %s of the restored task", path);
	return fd;
}

static void differs(struct differences *diff, uint64_t addr)
{
	if (diff->nr < NAMED)
		diff->addrs[diff->nr] = addr;
	diff->nr++;
}

static void compare_pieces(const struct verify *verify, uint32_t object, int mem,
			   const struct criu_task *task, uint8_t *buf, struct differences *diff,
			   uint64_t *pages)
{
	size_t nr;
	const struct verify_piece *piece = verify_of(verify, object, &nr);

	for (; nr; nr--, piece++) {
		size_t bytes = piece->nr_pages * PAGE_BYTES;

		*pages += piece->nr_pages;
		if (pread(mem, buf, bytes, piece->addr) != (ssize_t)bytes) {
			differs(diff, piece->addr);
			continue;
		}
		criu_task_mask(task, piece->addr, buf, bytes);
		if (XXH3_64bits(buf, bytes) != piece->xxh3)
			differs(diff, piece->addr);
	}
}

static bool page_is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE_BYTES - 1);
}

/*
 * True for the vdso of the source's kernel, where it differs from this kernel's: CRIU keeps such a
 * vdso like other memory, but redirects its functions to this kernel's vdso.
 */
static bool is_old_vdso(const struct criu_task *task, uint64_t addr)
{
	const struct vma *vma = maps_find(&task->vmas, addr);

	return vma && vma->special;
}

/* Check the populated pages of the mapping that the source does not have: they must be zeros. */
static void compare_rest(const struct vma *vma, int mem, int pagemap, const struct criu_task *task,
			 const struct page_set *populated, uint8_t *buf, struct differences *diff)
{
	uint64_t entries[PAGEMAP_AT_ONCE], addr = vma->start;

	while (addr < vma->end) {
		uint64_t nr = (vma->end - addr) / PAGE_BYTES;
		ssize_t n;

		if (nr > PAGEMAP_AT_ONCE)
			nr = PAGEMAP_AT_ONCE;
		n = pread(pagemap, entries, nr * sizeof(*entries),
			  addr / PAGE_BYTES * sizeof(*entries));
		if (n <= 0)
			return;
		for (size_t i = 0; i < n / sizeof(*entries); i++, addr += PAGE_BYTES) {
			if (!(entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) ||
			    entries[i] & PAGEMAP_FILE || page_set_has(populated, addr) ||
			    is_old_vdso(task, addr))
				continue;
			if (pread(mem, buf, PAGE_BYTES, addr) == (ssize_t)PAGE_BYTES &&
			    !page_is_zero(buf))
				differs(diff, addr);
		}
	}
}

static int say_differences(const struct differences *diff, struct error *err)
{
	char list[NAMED * 24] = "";

	if (!diff->nr)
		return 0;
	for (size_t i = 0; i < diff->nr && i < NAMED; i++)
		sprintf(list + strlen(list), " 0x%lx", diff->addrs[i]);
	return error_set(err, CODE_VERIFY, NULL,
			 "memory differs from the source in %s, first at%s",
			 text_count(diff->nr, "place", "places").text, list);
}

int verify_task(const struct verify *verify, uint32_t object, pid_t pid, const struct criu_task *task,
		const struct page_set *populated, uint64_t *pages, struct error *err)
{
	uint8_t *buf = malloc(FRAME_MAX_PAGES * PAGE_BYTES);
	struct differences diff = { 0 };
	struct vma_list vmas = { 0 };
	int mem, pagemap, ret = -1;

	mem = open_proc(pid, "mem", err);
	pagemap = open_proc(pid, "pagemap", err);
	if (!buf)
		error_errno(err, CODE_INTERNAL, NULL, "no memory to verify");
	if (buf && mem >= 0 && pagemap >= 0 && !maps_read(pid, true, &vmas, err)) {
		compare_pieces(verify, object, mem, task, buf, &diff, pages);
		for (size_t i = 0; i < vmas.nr; i++)
			if (vma_is_ours(&vmas.vmas[i]))
				compare_rest(&vmas.vmas[i], mem, pagemap, task, populated, buf,
					     &diff);
		ret = say_differences(&diff, err);
	}
	maps_free(&vmas);
	if (mem >= 0)
		close(mem);
	if (pagemap >= 0)
		close(pagemap);
	free(buf);
	return ret;
}

int verify_shared(const struct verify *verify, uint32_t object, int fd, uint64_t populated,
		  uint64_t *pages, struct error *err)
{
	uint8_t *buf = malloc(FRAME_MAX_PAGES * PAGE_BYTES);
	struct differences diff = { 0 };
	uint64_t compared = 0;
	size_t nr;
	const struct verify_piece *piece = verify_of(verify, object, &nr);

	if (!buf)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory to verify");
	for (; nr; nr--, piece++) {
		size_t bytes = piece->nr_pages * PAGE_BYTES, done;

		compared += piece->nr_pages;
		if (io_pread_all(fd, buf, bytes, piece->addr, &done)) {
			differs(&diff, piece->addr);
			continue;
		}
		/* its end may be in the middle of a page */
		memset(buf + done, 0, bytes - done);
		if (XXH3_64bits(buf, bytes) != piece->xxh3)
			differs(&diff, piece->addr);
	}
	free(buf);
	*pages += compared;
	if (compared != populated)
		return error_set(err, CODE_VERIFY, NULL,
				 "the source sent digests of %lu of the %lu pages of shared memory %u",
				 compared, populated, object);
	return say_differences(&diff, err);
}
