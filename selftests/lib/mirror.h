/* SPDX-License-Identifier: GPL-2.0 */
/* What a destination has: pages by address. */
#ifndef SPLICE_VM_SELFTESTS_MIRROR_H
#define SPLICE_VM_SELFTESTS_MIRROR_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * struct mirror_page - a page that was received
 * @next: in the same bucket, or in the list of free ones
 * @addr: where it lies in the task
 * @seen: for those who go through a mirror and a task side by side
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
/* NULL when it has none. */
struct mirror_page *mirror_find(const struct mirror *m, __u64 addr);
/* The page, made when it was not there. */
struct mirror_page *mirror_put(struct mirror *m, __u64 addr);
void mirror_drop(struct mirror *m, __u64 addr, __u64 nr);
void mirror_for_each(struct mirror *m,
		     void (*fn)(struct mirror_page *page, void *ctx),
		     void *ctx);
/* Pattern of @seed in all of it? A page that is not there is zeros: seed 0. */
bool mirror_is_pattern(const struct mirror *m, __u64 addr, __u64 nr,
		       unsigned long seed);

#endif
