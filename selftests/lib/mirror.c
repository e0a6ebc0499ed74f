// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "ksft.h"
#include "mirror.h"
#include "sys.h"
#include "target.h"

#define MIRROR_BUCKETS	65536

static struct mirror_page **mirror_bucket(const struct mirror *m, __u64 addr)
{
	return &m->buckets[addr / PAGE_SIZE % MIRROR_BUCKETS];
}

void mirror_init(struct mirror *m)
{
	*m = (struct mirror){};
	m->buckets = calloc(MIRROR_BUCKETS, sizeof(*m->buckets));
	ksft_must(m->buckets);
}

static void mirror_free_list(struct mirror_page *page)
{
	while (page) {
		struct mirror_page *next = page->next;

		free(page);
		page = next;
	}
}

void mirror_free(struct mirror *m)
{
	size_t i;

	for (i = 0; i < MIRROR_BUCKETS; i++)
		mirror_free_list(m->buckets[i]);
	mirror_free_list(m->free);
	free(m->buckets);
}

struct mirror_page *mirror_find(const struct mirror *m, __u64 addr)
{
	struct mirror_page *page = *mirror_bucket(m, addr);

	while (page && page->addr != addr)
		page = page->next;
	return page;
}

struct mirror_page *mirror_put(struct mirror *m, __u64 addr)
{
	struct mirror_page **bucket = mirror_bucket(m, addr);
	struct mirror_page *page = mirror_find(m, addr);

	if (page)
		return page;
	page = m->free;
	if (page)
		m->free = page->next;
	else
		page = malloc(sizeof(*page));
	ksft_must(page);
	page->addr = addr;
	page->seen = false;
	page->next = *bucket;
	*bucket = page;
	m->nr++;
	return page;
}

static void mirror_drop_page(struct mirror *m, struct mirror_page **link)
{
	struct mirror_page *page = *link;

	*link = page->next;
	page->next = m->free;
	m->free = page;
	m->nr--;
}

/* A dropped range can be most of an address space: look at the pages that the mirror has. */
static void mirror_drop_all(struct mirror *m, __u64 addr, __u64 nr)
{
	size_t i;

	for (i = 0; i < MIRROR_BUCKETS; i++) {
		struct mirror_page **link = &m->buckets[i];

		while (*link) {
			if (((*link)->addr - addr) / PAGE_SIZE < nr)
				mirror_drop_page(m, link);
			else
				link = &(*link)->next;
		}
	}
}

void mirror_drop(struct mirror *m, __u64 addr, __u64 nr)
{
	if (nr > MIRROR_BUCKETS) {
		mirror_drop_all(m, addr, nr);
		return;
	}
	for (; nr; nr--, addr += PAGE_SIZE) {
		struct mirror_page **link = mirror_bucket(m, addr);

		while (*link && (*link)->addr != addr)
			link = &(*link)->next;
		if (*link)
			mirror_drop_page(m, link);
	}
}

void mirror_for_each(struct mirror *m,
		     void (*fn)(struct mirror_page *page, void *ctx),
		     void *ctx)
{
	struct mirror_page *page;
	size_t i;

	for (i = 0; i < MIRROR_BUCKETS; i++) {
		for (page = m->buckets[i]; page; page = page->next)
			fn(page, ctx);
	}
}

bool mirror_is_pattern(const struct mirror *m, __u64 addr, __u64 nr,
		       unsigned long seed)
{
	const struct mirror_page *page;

	for (; nr; nr--, addr += PAGE_SIZE) {
		page = mirror_find(m, addr);
		if (!page && seed)
			return false;
		if (page && !pattern_is(page->data, addr, PAGE_SIZE, seed))
			return false;
	}
	return true;
}
