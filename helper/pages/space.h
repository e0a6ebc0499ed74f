/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One restored address space: its userfaultfd, the pages that it still lacks, and the address at
 * the source (the origin) of each page that mremap() has moved.
 */
#ifndef MIGRATE_PAGES_SPACE_H
#define MIGRATE_PAGES_SPACE_H

#include <stddef.h>
#include "base/error.h"
#include "pages/page_set.h"
#include "pages/space_owner.h"

/** struct space_piece - [@start, @end) has the pages that were at @origin at the source */
struct space_piece {
	uint64_t start, end, origin;
};

/** struct space_fault - a fault of the page at @addr, which was read at @read_ns (clock_now_ns()) */
struct space_fault {
	uint64_t addr, read_ns;
};

/** struct pieces - a list in no order; pieces may overlap, and the later one is newer */
struct pieces {
	struct space_piece *list;
	size_t nr, cap;
};

/**
 * struct space - a restored mm; all of it under the lock of the owner of @set
 * @set: the spaces of which it is one
 * @uffd: non-blocking; -1 until CRIU hands it over, and when the mm is gone
 * @number: in the journal of @set
 * @handle: the keeper's name for its duplicate of @uffd, or -1
 * @todo: pages, by their address in this space, that are populated at the source and not here
 * @pieces: the moved pages, in order of @start. A page in no piece has its own address as origin
 * @waiting: faults that were read and not resolved; the kernel does not repeat them
 * @cursor: address at which populate goes on
 * @orphans: unmoved pages of @todo without a mapping; a correct migration has none
 * @in_epoch: an event was read, and the event of an older change may still come: see epoch.h
 * @moved: destinations of REMAP in this epoch; origin: the old place, in this space
 * @covered: pages of @todo over which REMAP seemed to move others in this epoch, with their origins
 * @past: former places of pages of @todo that REMAP or UNMAP took out in this epoch: a child may
 *	still lack them
 * @unsure: places whose pages leave @todo if the kernel says that they are not mapped
 * @born_of: the parent, during the epoch in which FORK was read; or NULL
 * @blocked: UFFDIO_ZEROPAGE said EAGAIN at the last look at @waiting
 * @blocked_ms: milliseconds in which the kernel answered EAGAIN and no event came
 * @looked_ms: time of that look, CLOCK_MONOTONIC
 * @lacks_at: about where a page was seen that it lacks and that is not lost (lost_pages_are_all())
 * @doomed: it lacks pages that are nowhere, and the kernel has no UFFDIO_POISON (dest/lost_pages.h)
 * @ready: CRIU has ended; earlier CRIU may still make a missing mapping
 * @gone: the process has exited or called exec
 * @lost: an event could not be recorded, so @todo may be wrong: this helper installs no page and
 *	answers no fault any more. The process waits for ever rather than read zeros for a page
 */
struct space {
	struct space_set *set;
	int uffd;
	int handle;
	uint32_t number;
	struct page_set todo;
	struct space_piece *pieces;
	size_t nr_pieces;
	struct space_fault *waiting;
	size_t nr_waiting, cap_waiting;
	uint64_t cursor;
	uint64_t orphans;
	struct pieces moved, covered, past, unsure;
	struct space *born_of;
	uint64_t blocked_ms, looked_ms;
	uint64_t lacks_at;
	bool in_epoch, blocked, ready, gone, lost, doomed;
};

struct space *space_new(int uffd, struct error *err);

/** space_fork() - make a child's space: the child lacks the pages that its parent lacks; no uffd */
struct space *space_fork(const struct space *parent, struct error *err);
void space_free(struct space *space);

/**
 * space_origin() - address at the source of the page at @addr
 * @nr_pages: in: length of a run; out: length of its part that is contiguous at the source too
 */
uint64_t space_origin(const struct space *space, uint64_t addr, uint64_t *nr_pages);

/** typedef space_fn - a run of @todo at @addr, from @origin at the source; false ends the walk */
typedef bool (*space_fn)(struct space *space, uint64_t addr, uint64_t origin,
			 uint64_t nr_pages, void *ctx);

/**
 * space_each_lacking() - call @fn with each run of @todo whose origin is in the given range
 *
 * @fn may take pages out of @todo; it must not read events.
 * Return: false when @fn ended the walk
 */
bool space_each_lacking(struct space *space, uint64_t origin, uint64_t nr_pages,
			space_fn fn, void *ctx);

/** space_move() - after an mremap() of [@from, @from + @bytes) to @to: move pieces and @todo too */
int space_move(struct space *space, uint64_t from, uint64_t to, uint64_t bytes,
	       struct error *err);

/** space_put() - add the pages of [@addr, + @nr_pages) to @todo, with origins from @origin on */
int space_put(struct space *space, uint64_t addr, uint64_t nr_pages, uint64_t origin,
	      struct error *err);

/** pieces_add() - add a piece, unless the list has it already */
int pieces_add(struct pieces *pieces, uint64_t start, uint64_t end, uint64_t origin,
	       struct error *err);
void pieces_drop_first(struct pieces *pieces);

/** pieces_has() - true when a piece overlaps [@start, @end) */
bool pieces_has(const struct pieces *pieces, uint64_t start, uint64_t end);

/** pieces_has_origin() - true when a piece has a page whose origin is in [@start, @end) */
bool pieces_has_origin(const struct pieces *pieces, uint64_t start, uint64_t end);

/**
 * pieces_part() - true when a piece has the page at @addr
 * @nr_pages: in: length of a run; out: length of its part with the same answer
 */
bool pieces_part(const struct pieces *pieces, uint64_t addr, uint64_t *nr_pages);

/**
 * space_install() - install pages of @todo by the userfaultfd, and take them out of @todo
 * @src: content of the pages, or NULL for zeros
 * @done: number of pages from @addr on that left @todo
 */
enum install space_install(struct space *space, uint64_t addr, uint64_t nr_pages,
			   const void *src, uint64_t *done);

/**
 * space_poison() - space_install() of pages that are nowhere: a process that touches them gets SIGBUS
 * Return: INSTALL_FAILED with EINVAL before Linux 6.6
 */
enum install space_poison(struct space *space, uint64_t addr, uint64_t nr_pages, uint64_t *done);

/** space_wait() - add an unresolved fault to @waiting; one for each page, the first */
int space_wait(struct space *space, const struct space_fault *fault, struct error *err);
/** space_unwait() - these pages are there: faults of them are answered */
void space_unwait(struct space *space, uint64_t addr, uint64_t nr_pages);

/** space_probe() - ask the kernel whether the process's mm still exists; sets @gone */
bool space_probe(struct space *space);

#endif
