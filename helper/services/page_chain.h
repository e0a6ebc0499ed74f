/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages of one process in a directory of images and in those of its parents: a pagemap says that its own pages image has
 * a page, that the parent has it, or that none has it yet, as a lazy dump leaves it. The images with pages may still be on
 * their way: each is opened when its pages are wanted.
 */
#ifndef MIGRATE_SERVICES_PAGE_CHAIN_H
#define MIGRATE_SERVICES_PAGE_CHAIN_H

#include <sys/types.h>
#include "criu/image.h"
#include "pages/page_set.h"
#include "services/page_level.h"

#define PAGE_LEVELS_MAX	1024	/* longest chain; also ends one that leads to itself */

/**
 * struct page_directory - one directory of the chain
 * @dir_fd: -1: needed no more
 * @pages_fd: -1: not opened yet
 */
struct page_directory {
	struct page_level map;
	int dir_fd, pages_fd;
};

/**
 * struct page_chain - from the youngest directory on. Zeroed is empty
 * @name: of the pagemaps
 */
struct page_chain {
	struct page_directory *list;
	size_t nr;
	char name[IMAGE_NAME_MAX];
};

/** struct page_place - where pages are: in the directory with the number @level, from the offset @at on */
struct page_place {
	size_t level;
	uint64_t at;
};

/**
 * page_chain_open() - read the pagemap of @target, as a page server names it, in the directory @dir_fd; its parents are not looked at
 * Return: 1; 0 when the directory has no pagemap of it; -1 with @err when that is damaged. Else than with 1 the chain is empty
 */
int page_chain_open(struct page_chain *chain, int dir_fd, uint64_t target, struct error *err);

/** page_chain_open_task() - as page_chain_open() for task @pid, which has to be there. Return: 0, or -1 with @err */
int page_chain_open_task(struct page_chain *chain, int dir_fd, pid_t pid, struct error *err);

/** page_chain_climb() - read the pagemaps of the parents, as far as pages are there */
int page_chain_climb(struct page_chain *chain, struct error *err);

/** page_chain_check_files() - whether all pages images are there, and have all pages that the pagemaps list */
int page_chain_check_files(struct page_chain *chain, struct error *err);

/** page_chain_lacking() - add all pages to @set that a lazy restore leaves out */
int page_chain_lacking(const struct page_chain *chain, struct page_set *set, struct error *err);

/** page_chain_check_lacking() - whether the pagemaps say of each of these where it is */
int page_chain_check_lacking(const struct page_chain *chain, struct error *err);

/**
 * page_chain_find() - look for pages from @addr on
 * @nr_pages: in: most pages; out: of how many the answer is true, at least 1
 * Return: whether the chain has them, at @place
 */
bool page_chain_find(const struct page_chain *chain, uint64_t addr, uint64_t *nr_pages, struct page_place *place);

/**
 * page_chain_read() - read pages that page_chain_find() has found
 * @nr_pages: in: most pages; out: pages that were read
 * Return: 1; 0 when the file with these pages is not there yet, or too short; -1 with @err
 */
int page_chain_read(struct page_chain *chain, const struct page_place *place, uint64_t *nr_pages, void *buf,
		    struct error *err);

void page_chain_free(struct page_chain *chain);

#endif
