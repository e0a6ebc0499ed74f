// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pages/journal.h"
#include "pages/space.h"
#include "os/uffd.h"
#include "pages/sets.h"

struct space *space_new(int uffd, struct error *err)
{
	struct space *space = calloc(1, sizeof(*space));

	if (!space) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for an address space");
		return NULL;
	}
	space->uffd = uffd;
	space->handle = -1;
	space->ready = true;
	return space;
}

void space_free(struct space *space)
{
	if (!space)
		return;
	page_set_destroy(&space->todo);
	free(space->pieces);
	free(space->moved.list);
	free(space->covered.list);
	free(space->past.list);
	free(space->unsure.list);
	free(space->waiting);
	free(space);
}

struct space *space_fork(const struct space *parent, struct error *err)
{
	struct space *space = space_new(-1, err);

	if (!space)
		return NULL;
	if (parent->nr_pieces) {
		size_t bytes = parent->nr_pieces * sizeof(*parent->pieces);

		space->pieces = malloc(bytes);
		if (!space->pieces) {
			error_errno(err, CODE_INTERNAL, NULL, "no memory for an address space");
			space_free(space);
			return NULL;
		}
		memcpy(space->pieces, parent->pieces, bytes);
		space->nr_pieces = parent->nr_pieces;
	}
	space->doomed = parent->doomed;
	if (!sets_copy(&space->todo, &parent->todo, err))
		return space;
	space_free(space);
	return NULL;
}

/* Return: index of the first piece that ends above @addr */
static size_t piece_after(const struct space *space, uint64_t addr)
{
	size_t low = 0, high = space->nr_pieces;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (space->pieces[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint64_t space_origin(const struct space *space, uint64_t addr, uint64_t *nr_pages)
{
	uint64_t limit = addr + *nr_pages * PAGE_BYTES, origin = addr;
	size_t i = piece_after(space, addr);

	if (i < space->nr_pieces) {
		const struct space_piece *piece = &space->pieces[i];
		uint64_t border = piece->start;

		if (piece->start <= addr) {
			origin = piece->origin + (addr - piece->start);
			border = piece->end;
		}
		if (border < limit)
			*nr_pages = (border - addr) / PAGE_BYTES;
	}
	return origin;
}

/* Call @fn with the runs of @todo in [@addr, @end). The origin of each page is @shift above it. */
static bool each_todo(struct space *space, uint64_t addr, uint64_t end, uint64_t shift,
		      space_fn fn, void *ctx)
{
	struct run run;

	while (addr < end && page_set_next(&space->todo, addr, end, 0, &run)) {
		if (!fn(space, run.addr, run.addr + shift, run.nr_pages, ctx))
			return false;
		addr = run_end(&run);
	}
	return true;
}

bool space_each_lacking(struct space *space, uint64_t origin, uint64_t nr_pages,
			space_fn fn, void *ctx)
{
	uint64_t end = origin + nr_pages * PAGE_BYTES, addr = origin;

	for (size_t i = piece_after(space, addr); addr < end; i++) {
		uint64_t border = i < space->nr_pieces ? space->pieces[i].start : end;

		if (border > end)
			border = end;
		if (!each_todo(space, addr, border, 0, fn, ctx))
			return false;
		if (border == end)
			break;
		addr = space->pieces[i].end;
	}
	for (size_t i = 0; i < space->nr_pieces; i++) {
		const struct space_piece *piece = &space->pieces[i];
		uint64_t piece_end = piece->origin + (piece->end - piece->start);
		uint64_t from = origin > piece->origin ? origin : piece->origin;
		uint64_t to = end < piece_end ? end : piece_end;
		uint64_t shift = piece->origin - piece->start;

		if (from < to && !each_todo(space, from - shift, to - shift, shift, fn, ctx))
			return false;
	}
	return true;
}

/* Append a piece, or extend the last one when both are contiguous at the source too. */
static void piece_add(struct space_piece *pieces, size_t *nr, uint64_t start, uint64_t end,
		      uint64_t origin)
{
	struct space_piece *last = *nr ? &pieces[*nr - 1] : NULL;

	if (start >= end || start == origin)
		return;
	if (last && last->end == start && last->origin + (start - last->start) == origin)
		last->end = end;
	else
		pieces[(*nr)++] = (struct space_piece){ start, end, origin };
}

/* Append to @to the parts of @space's pieces that are outside of [@start, @end). */
static void pieces_outside(const struct space *space, uint64_t start, uint64_t end,
			   struct space_piece *to, size_t *nr)
{
	for (size_t i = 0; i < space->nr_pieces; i++) {
		const struct space_piece *piece = &space->pieces[i];

		if (piece->start < start)
			piece_add(to, nr, piece->start, piece->end < start ? piece->end : start,
				  piece->origin);
		if (piece->end > end) {
			uint64_t cut = piece->start > end ? piece->start : end;

			piece_add(to, nr, cut, piece->end, piece->origin + (cut - piece->start));
		}
	}
}

/* Append to @out pieces for [@to, @to + @bytes) with the origins of [@from, @from + @bytes). */
static void pieces_moved(const struct space *space, uint64_t from, uint64_t to, uint64_t bytes,
			 struct space_piece *out, size_t *nr)
{
	for (uint64_t done = 0; done < bytes;) {
		uint64_t nr_pages = (bytes - done) / PAGE_BYTES;
		uint64_t origin = space_origin(space, from + done, &nr_pages);
		uint64_t len = nr_pages * PAGE_BYTES;

		piece_add(out, nr, to + done, to + done + len, origin);
		done += len;
	}
}

static int piece_order(const void *a, const void *b)
{
	const struct space_piece *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int todo_move(struct space *space, uint64_t from, uint64_t to, uint64_t bytes,
		     struct error *err)
{
	uint64_t addr = from, end = from + bytes;
	struct run run;

	while (addr < end && page_set_next(&space->todo, addr, end, 0, &run)) {
		if (page_set_add(&space->todo, run.addr - from + to, run.nr_pages, err))
			return -1;
		page_set_remove(&space->todo, run.addr, run.nr_pages);
		addr = run_end(&run);
	}
	return 0;
}

int space_move(struct space *space, uint64_t from, uint64_t to, uint64_t bytes,
	       struct error *err)
{
	/* each border of an old piece, of the old and of the new place may start a new piece */
	size_t cap = 4 * space->nr_pieces + 4, nr = 0;
	struct space_piece *kept = calloc(cap, sizeof(*kept)), *old = space->pieces;
	size_t nr_old = space->nr_pieces, nr_kept = 0;
	struct space_piece *final = calloc(cap, sizeof(*final));

	if (!kept || !final) {
		free(kept);
		free(final);
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a moved mapping");
	}
	pieces_outside(space, from, from + bytes, kept, &nr_kept);
	space->pieces = kept;
	space->nr_pieces = nr_kept;
	pieces_outside(space, to, to + bytes, final, &nr);
	space->pieces = old;
	space->nr_pieces = nr_old;
	pieces_moved(space, from, to, bytes, final, &nr);
	qsort(final, nr, sizeof(*final), piece_order);

	free(kept);
	free(old);
	space->pieces = final;
	space->nr_pieces = nr;
	return todo_move(space, from, to, bytes, err);
}

static int piece_set(struct space *space, uint64_t start, uint64_t end, uint64_t origin,
		     struct error *err)
{
	size_t nr = 0;
	struct space_piece *pieces = calloc(2 * space->nr_pieces + 1, sizeof(*pieces));

	if (!pieces)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a moved mapping");
	pieces_outside(space, start, end, pieces, &nr);
	piece_add(pieces, &nr, start, end, origin);
	qsort(pieces, nr, sizeof(*pieces), piece_order);
	free(space->pieces);
	space->pieces = pieces;
	space->nr_pieces = nr;
	return 0;
}

int space_put(struct space *space, uint64_t addr, uint64_t nr_pages, uint64_t origin,
	      struct error *err)
{
	uint64_t end = addr + nr_pages * PAGE_BYTES, shift = origin - addr;
	struct run run;

	while (addr < end) {
		uint64_t to = end;

		if (page_set_next(&space->todo, addr, end, 0, &run))
			to = run.addr;
		if (addr < to) {
			if (piece_set(space, addr, to, addr + shift, err) ||
			    page_set_add(&space->todo, addr, (to - addr) / PAGE_BYTES, err))
				return -1;
		}
		addr = to < end ? run_end(&run) : end;
	}
	return 0;
}

static void settled(struct space *space, uint64_t addr, uint64_t nr_pages)
{
	if (!nr_pages)
		return;
	page_set_remove(&space->todo, addr, nr_pages);
	if (space->set)
		journal_settled(space->set->journal, space->number, addr, nr_pages);
	space_unwait(space, addr, nr_pages);
}

/* A moved page and a page of a parent may rightly have no mapping (epoch.h), and do not count. */
static void count_orphan(struct space *space, uint64_t addr)
{
	uint64_t one = 1;

	if (space_origin(space, addr, &one) == addr && !space->born_of &&
	    !pieces_has(&space->unsure, addr, addr + PAGE_BYTES))
		space->orphans++;
}

/* A page of content, of zeros when there is no @src, or of nothing at all. */
static enum uffd_result put(struct space *space, uint64_t addr, uint64_t nr_pages,
			    const uint8_t *src, bool poison, uint64_t *done)
{
	if (poison)
		return uffd_poison(space->uffd, addr, nr_pages, done);
	return src ? uffd_copy(space->uffd, addr, src, nr_pages, done) :
	       uffd_zero(space->uffd, addr, nr_pages, done);
}

static enum install install(struct space *space, uint64_t addr, uint64_t nr_pages,
			    const uint8_t *src, bool poison, uint64_t *done)
{
	*done = 0;
	if (space->uffd < 0 || space->lost)
		return space->gone ? INSTALL_GONE : INSTALL_AGAIN;
	while (*done < nr_pages) {
		uint64_t at = addr + *done * PAGE_BYTES, left = nr_pages - *done, n = 0;
		enum uffd_result result = put(space, at, left, src ? src + *done * PAGE_BYTES : NULL,
					      poison, &n);

		settled(space, at, n);
		*done += n;
		switch (result) {
		case UFFD_OK:
			break;
		case UFFD_AGAIN:
			return INSTALL_AGAIN;
		case UFFD_GONE:
			space->gone = true;
			return INSTALL_GONE;
		case UFFD_FAILED:
			return INSTALL_FAILED;
		case UFFD_NO_VMA:
			if (!space->ready)
				return INSTALL_AGAIN;
			count_orphan(space, at + n * PAGE_BYTES);
			/* fall through */
		case UFFD_EXISTS:
			/* populated or unmapped: a thread that waits there looks again */
			at += n * PAGE_BYTES;
			uffd_wake(space->uffd, at, PAGE_BYTES);
			settled(space, at, 1);
			*done += 1;
			break;
		}
	}
	return INSTALL_OK;
}

enum install space_install(struct space *space, uint64_t addr, uint64_t nr_pages,
			   const void *src, uint64_t *done)
{
	return install(space, addr, nr_pages, src, false, done);
}

enum install space_poison(struct space *space, uint64_t addr, uint64_t nr_pages, uint64_t *done)
{
	return install(space, addr, nr_pages, NULL, true, done);
}

int space_wait(struct space *space, const struct space_fault *fault, struct error *err)
{
	for (size_t i = 0; i < space->nr_waiting; i++)
		if (space->waiting[i].addr == fault->addr)
			return 0;
	if (space->nr_waiting == space->cap_waiting) {
		size_t cap = space->cap_waiting ? 2 * space->cap_waiting : 16;
		struct space_fault *waiting = realloc(space->waiting, cap * sizeof(*waiting));

		if (!waiting)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for a fault");
		space->waiting = waiting;
		space->cap_waiting = cap;
	}
	space->waiting[space->nr_waiting++] = *fault;
	return 0;
}

void space_unwait(struct space *space, uint64_t addr, uint64_t nr_pages)
{
	size_t kept = 0;

	for (size_t i = 0; i < space->nr_waiting; i++)
		if (space->waiting[i].addr - addr >= nr_pages * PAGE_BYTES)
			space->waiting[kept++] = space->waiting[i];
		else if (space->set)
			answered_add(&space->set->answered, space->waiting[i].read_ns);
	space->nr_waiting = kept;
}

bool space_probe(struct space *space)
{
	if (!space->gone && space->uffd >= 0 &&
	    uffd_mapped(space->uffd, USER_END - 2 * PAGE_BYTES, 1) == UFFD_GONE)
		space->gone = true;
	return space->gone;
}
