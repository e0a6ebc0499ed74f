/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One restored address space: its userfaultfd, the pages it still lacks, and
 * where the content of a page that mremap moved is to be found.
 */
#ifndef MIGRATE_DEST_SPACE_H
#define MIGRATE_DEST_SPACE_H

#include <stddef.h>
#include "base/error.h"
#include "pages/page_set.h"

/** struct space_piece - [@start, @end) holds what was at @origin at the source */
struct space_piece {
	uint64_t start, end, origin;
};

/** struct pieces - a list in no order; pieces may overlap, and the later one is newer */
struct pieces {
	struct space_piece *list;
	size_t nr, cap;
};

/**
 * struct space - a restored mm; all of it under mm.lock
 * @mm: the object that the space is of
 * @uffd: non-blocking; -1 until CRIU hands it over, and when the mm is gone
 * @handle: the keeper's name for its duplicate of @uffd, or -1
 * @todo: pages (addresses of this space) that are populated at the source, not here
 * @pieces: in order of @start; a page in no piece has its own address as origin.
 *	Only kept for what was moved: @todo enters a range by REMAP alone
 * @waiting: faults that were read and not resolved; the kernel does not say them again
 * @cursor: where populate goes on
 * @orphans: pages of @todo, but those that were moved, for which there was no mapping: none, if all
 *	is well
 * @in_epoch: an event was read, and one of an older change may still be to come: see epoch.h
 * @moved: where REMAP brought pages in this epoch
 * @past: where pages of @todo were that REMAP or UNMAP took out in this epoch: a child may want them
 * @unsure: the pages of @todo in here are to be taken out if they are not mapped
 * @born_of: the parent, as long as the epoch lasts in which FORK was read; or NULL
 * @blocked: ZEROPAGE said EAGAIN when the faults that wait were last looked at
 * @blocked_ms: milliseconds in which the kernel answered so and no event came
 * @looked_ms: CLOCK_MONOTONIC then
 * @ready: CRIU is done with it; before that a mapping that is not there may still come
 * @gone: the process has exited or called exec
 * @lost: an event could not be recorded, so @todo may be wrong: no page is installed any longer and
 *	no fault is answered. The process waits for ever, and never reads zeros for a page
 */
struct mm;

struct space {
	struct mm *mm;
	int uffd;
	int handle;
	struct page_set todo;
	struct space_piece *pieces;
	size_t nr_pieces;
	uint64_t *waiting;
	size_t nr_waiting, cap_waiting;
	uint64_t cursor;
	uint64_t orphans;
	struct pieces moved, past, unsure;
	struct space *born_of;
	uint64_t blocked_ms, looked_ms;
	bool in_epoch, blocked, ready, gone, lost;
};

/**
 * enum install - how far space_install() came
 * @INSTALL_OK: all pages are there, or can never be missed again
 * @INSTALL_AGAIN: events are pending: read them, look again
 * @INSTALL_GONE: the process is gone
 * @INSTALL_FAILED: errno says why
 */
enum install { INSTALL_OK, INSTALL_AGAIN, INSTALL_GONE, INSTALL_FAILED };

struct space *space_new(int uffd, struct error *err);

/** space_fork() - a child's space: it lacks what the parent lacks now; no uffd yet */
struct space *space_fork(const struct space *parent, struct error *err);
void space_free(struct space *space);

/**
 * space_origin() - address at the source of the page at @addr
 * @nr_pages: in: length of a run; out: as much of it as lies together at the source too
 */
uint64_t space_origin(const struct space *space, uint64_t addr, uint64_t *nr_pages);

/** typedef space_fn - @nr_pages pages of @todo at @addr whose content was at @origin; false ends */
typedef bool (*space_fn)(struct space *space, uint64_t addr, uint64_t origin,
			 uint64_t nr_pages, void *ctx);

/**
 * space_each_lacking() - where pages of the source are still lacking here
 *
 * @fn may take pages out of @todo; it must not read events.
 * Return: false when @fn ended it
 */
bool space_each_lacking(struct space *space, uint64_t origin, uint64_t nr_pages,
			space_fn fn, void *ctx);

/** space_move() - mremap moved [@from, @from + @bytes) to @to: so do pieces and todo */
int space_move(struct space *space, uint64_t from, uint64_t to, uint64_t bytes,
	       struct error *err);

/** space_put() - the pages of [@addr, + @nr_pages) that are not in @todo enter it, from @origin on */
int space_put(struct space *space, uint64_t addr, uint64_t nr_pages, uint64_t origin,
	      struct error *err);

/** pieces_add() - a piece that is in the list already is not added again */
int pieces_add(struct pieces *pieces, uint64_t start, uint64_t end, uint64_t origin,
	       struct error *err);
void pieces_drop_first(struct pieces *pieces);

/** pieces_has() - whether any piece meets [@start, @end) */
bool pieces_has(const struct pieces *pieces, uint64_t start, uint64_t end);

/** pieces_has_origin() - whether any piece has a page that was in [@start, @end) at the source */
bool pieces_has_origin(const struct pieces *pieces, uint64_t start, uint64_t end);

/**
 * pieces_part() - whether the page at @addr is in a piece
 * @nr_pages: in: length of a run; out: as much of it as has the same answer
 */
bool pieces_part(const struct pieces *pieces, uint64_t addr, uint64_t *nr_pages);

/**
 * space_install() - put pages of @todo in their place and take them out of @todo
 * @src: their content, or NULL for zeros
 * @done: pages from @addr on that are settled
 */
enum install space_install(struct space *space, uint64_t addr, uint64_t nr_pages,
			   const void *src, uint64_t *done);

/** space_wait() - remember a fault that cannot be resolved now */
int space_wait(struct space *space, uint64_t addr, struct error *err);
void space_unwait(struct space *space, uint64_t addr, uint64_t nr_pages);

/** space_probe() - ask the kernel whether the mm still lives; sets @gone */
bool space_probe(struct space *space);

#endif
