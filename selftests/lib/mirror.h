/* SPDX-License-Identifier: GPL-2.0 */
/* The pages that a destination has received, by address. */
#ifndef SPLICE_VM_SELFTESTS_MIRROR_H
#define SPLICE_VM_SELFTESTS_MIRROR_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * struct mirror_page - a page that was received
 * @next: next page in the same bucket, or in the list of free pages
 * @addr: address in the task
 * @seen: for a comparison of the mirror with a task
 * @data: the content
 */
struct mirror_page {
	struct mirror_page *next;
	__u64 addr;
	bool seen;
	unsigned char data[4096];
};

struct mirror {
	struct mirror_page **buckets;
	struct mirror_page *free;
	size_t nr;
};

void mirror_init(struct mirror *m);
void mirror_free(struct mirror *m);
/* Return: the page at @addr, or NULL */
struct mirror_page *mirror_find(const struct mirror *m, __u64 addr);
/* Return: the page at @addr, which the function makes if need be */
struct mirror_page *mirror_put(struct mirror *m, __u64 addr);
void mirror_drop(struct mirror *m, __u64 addr, __u64 nr);
void mirror_for_each(struct mirror *m,
		     void (*fn)(struct mirror_page *page, void *ctx),
		     void *ctx);
/* True when all pages have the pattern of @seed. A missing page is zeros, as with seed 0. */
bool mirror_is_pattern(const struct mirror *m, __u64 addr, __u64 nr,
		       unsigned long seed);

#endif
