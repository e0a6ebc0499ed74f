/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory of one dumped task: where its pages come from, and the restored tasks that still lack some. A page
 * is asked for once, and installed in each of them.
 *
 * One thread calls all functions: events of a userfaultfd are read and acted upon between two calls.
 */
#ifndef MIGRATE_SERVICES_LAZY_MEMORY_H
#define MIGRATE_SERVICES_LAZY_MEMORY_H

#include "pages/space_set.h"
#include "services/lazy_link.h"
#include "services/page_chain.h"

#define LAZY_FILE_PAGES		64	/* most pages that are read from an image at a time */

/** struct lazy_counts - pages */
struct lazy_counts {
	uint64_t installed;	/* in all restored tasks */
	uint64_t background;	/* asked for before a fault did */
	uint64_t fault;		/* asked for by a fault, with its neighbours */
};

/** struct lazy_held - pages that came, and that some task cannot take yet */
struct lazy_held {
	struct lazy_held *next;
	uint64_t addr, nr_pages;
	uint8_t pages[];
};

/**
 * struct lazy_memory - @link: the page server; NULL: @images have the pages
 * @asked: pages that are under way, or held
 * @sets: of the restored tasks
 * @late: a page is not in the images yet
 */
struct lazy_memory {
	pid_t pid;
	struct page_chain images;
	struct lazy_link *link;
	struct page_set asked;
	struct space_set **sets;
	size_t nr_sets;
	struct lazy_held *held, **last_held;
	struct lazy_counts counts;
	uint8_t *buf;
	bool late;
	struct lazy_memory *next;
};

/** lazy_memory_new() - of task @pid; the images are read. Return: NULL with @err */
struct lazy_memory *lazy_memory_new(int images_dir_fd, pid_t pid, struct lazy_link *link, struct error *err);

/** lazy_memory_add() - @set lacks pages of the memory, too */
int lazy_memory_add(struct lazy_memory *memory, struct space_set *set, struct error *err);

/** lazy_memory_remove() - @set has its pages, or is gone */
void lazy_memory_remove(struct lazy_memory *memory, struct space_set *set);

/**
 * lazy_memory_next() - the first pages in [@addr, @end) that @space lacks and that were not asked for
 * @max_pages: longest run wanted
 * @origin: their address at the source
 * Return: false when there are none
 */
bool lazy_memory_next(const struct lazy_memory *memory, const struct space *space, uint64_t addr, uint64_t end,
		      uint64_t max_pages, struct run *run, uint64_t *origin);

/**
 * lazy_memory_want() - get the pages from @addr on that @space lacks, @nr_pages at most
 * @fault: the page at @addr is waited for: of a page server those before it come too, of a block of @nr_pages
 *
 * Pages of an image are installed at once. Return: as space_install(), for the first page; INSTALL_AGAIN: it was
 * asked for, or it is not there yet; INSTALL_FAILED with @err
 */
enum install lazy_memory_want(struct lazy_memory *memory, struct space *space, uint64_t addr,
			      uint64_t nr_pages, bool fault, struct error *err);

/**
 * lazy_memory_ask_any() - ask the page server for a page that the restore leaves out, whether somebody lacks it or not
 *
 * Return: 1 when one is under way; 0: there is none; -1 with @err
 */
int lazy_memory_ask_any(struct lazy_memory *memory, struct error *err);

/**
 * lazy_memory_known() - two pages that the restore leaves out, which the page server therefore has
 * @memory: the first of a list
 * @turn: the pair of a turn is that of no turn shortly before: the first of n * (n - 1) pairs of n pages
 * Return: 0, or -1 with @err: there are fewer than two
 */
int lazy_memory_known(const struct lazy_memory *memory, uint64_t turn, struct lazy_page known[2], struct error *err);

/** lazy_memory_came() - pages that were asked for are here; a lazy_link_fn */
int lazy_memory_came(void *memory, uint64_t addr, uint64_t nr_pages, const void *pages, struct error *err);

/** lazy_memory_retry() - install pages that are held. Return: 0; 1 when some are held still; -1 with @err */
int lazy_memory_retry(struct lazy_memory *memory, struct error *err);

/** lazy_memory_lost() - what was asked for does not come: the connection is lost */
void lazy_memory_lost(struct lazy_memory *memory);

void lazy_memory_free(struct lazy_memory *memory);

#endif
