// SPDX-License-Identifier: GPL-2.0
/* The memory of a dirty log. It is allocated in advance: callbacks of the notifier may not. */
#include <linux/slab.h>

#include "dirty_log.h"

static struct kmem_cache *splice_vm_chunk_cache;

int splice_vm_dirty_log_cache_create(void)
{
	splice_vm_chunk_cache = KMEM_CACHE(splice_vm_chunk, 0);
	return splice_vm_chunk_cache ? 0 : -ENOMEM;
}

void splice_vm_dirty_log_cache_destroy(void)
{
	kmem_cache_destroy(splice_vm_chunk_cache);
}

void splice_vm_dirty_log_init(struct splice_vm_dirty_log *log)
{
	spin_lock_init(&log->lock);
	splice_vm_chunks_init(&log->chunks);
	splice_vm_range_pool_init(&log->ranges);
	splice_vm_ranges_init(&log->recheck, &log->ranges);
	splice_vm_ranges_init(&log->unmapped, &log->ranges);
}

/* No callback may run any more. Sleeps: there are a million chunks to a TiB. */
void splice_vm_dirty_log_destroy(struct splice_vm_dirty_log *log)
{
	struct splice_vm_chunk *chunk, *next;

	rbtree_postorder_for_each_entry_safe(chunk, next, &log->chunks.root, node) {
		kmem_cache_free(splice_vm_chunk_cache, chunk);
		cond_resched();
	}
	list_for_each_entry_safe(chunk, next, &log->chunks.pool, list) {
		kmem_cache_free(splice_vm_chunk_cache, chunk);
		cond_resched();
	}
	splice_vm_range_pool_free(&log->ranges);
}

/* A block is taken over with the lock held: not too many at a time. */
#define SPLICE_VM_DIRTY_LOG_BLOCK	1024U

static int splice_vm_dirty_log_reserve_ranges(struct splice_vm_dirty_log *log,
					      unsigned int nr)
{
	struct splice_vm_range_block *block;

	/* Only this function changes the number. */
	while (log->ranges.nr < nr) {
		block = splice_vm_range_block_alloc(SPLICE_VM_DIRTY_LOG_BLOCK);
		if (!block)
			return -ENOMEM;
		spin_lock(&log->lock);
		splice_vm_range_pool_add(&log->ranges, block);
		spin_unlock(&log->lock);
		cond_resched();
	}
	return 0;
}

/**
 * splice_vm_dirty_log_reserve() - have memory ready for callbacks, which cannot wait
 * @log: the log
 * @chunks: so many in all, those in use included
 * @ranges: the same
 *
 * Sleeps; one caller at a time. Return: 0 or -ENOMEM; what could be had stays
 */
int splice_vm_dirty_log_reserve(struct splice_vm_dirty_log *log, unsigned int chunks,
				unsigned int ranges)
{
	struct splice_vm_chunk *chunk;
	bool enough;

	if (splice_vm_dirty_log_reserve_ranges(log, ranges))
		return -ENOMEM;
	for (;;) {
		spin_lock(&log->lock);
		enough = log->chunks.nr_pool + log->chunks.nr >= chunks;
		spin_unlock(&log->lock);
		if (enough)
			return 0;

		chunk = kmem_cache_alloc(splice_vm_chunk_cache,
					 GFP_KERNEL_ACCOUNT);
		if (!chunk)
			return -ENOMEM;
		spin_lock(&log->lock);
		splice_vm_chunks_give(&log->chunks, chunk);
		spin_unlock(&log->lock);
		cond_resched();
	}
}
