// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of chunks, in a tree by address. A set allocates nothing: its chunks come from a pool, which
 * dirty_log_mem.c fills.
 */
#include <linux/string.h>

#include "chunks.h"

void splice_vm_chunks_init(struct splice_vm_chunk_set *set)
{
	set->root = RB_ROOT;
	INIT_LIST_HEAD(&set->pool);
	set->nr = 0;
	set->nr_pool = 0;
}

/**
 * splice_vm_chunks_give() - one more unused chunk
 * @set: the set
 * @chunk: in no set; belongs to the pool from now on
 */
void splice_vm_chunks_give(struct splice_vm_chunk_set *set, struct splice_vm_chunk *chunk)
{
	list_add(&chunk->list, &set->pool);
	set->nr_pool++;
}

/* First chunk with an index of at least @index, or NULL. */
struct splice_vm_chunk *splice_vm_chunks_find(const struct splice_vm_chunk_set *set,
					      unsigned long index)
{
	struct rb_node *node = set->root.rb_node;
	struct splice_vm_chunk *best = NULL;

	while (node) {
		struct splice_vm_chunk *chunk;

		chunk = rb_entry(node, struct splice_vm_chunk, node);
		if (chunk->index < index) {
			node = node->rb_right;
		} else {
			best = chunk;
			node = node->rb_left;
		}
	}
	return best;
}

/* Where in the tree a chunk is, or is to be linked below @parent. */
static struct rb_node **splice_vm_chunks_slot(struct splice_vm_chunk_set *set,
					      unsigned long index,
					      struct rb_node **parent)
{
	struct rb_node **link = &set->root.rb_node;

	*parent = NULL;
	while (*link) {
		struct splice_vm_chunk *chunk;

		chunk = rb_entry(*link, struct splice_vm_chunk, node);
		if (chunk->index == index)
			break;
		*parent = *link;
		link = index < chunk->index ? &(*link)->rb_left : &(*link)->rb_right;
	}
	return link;
}

static void splice_vm_chunks_link(struct splice_vm_chunk_set *set,
				  struct splice_vm_chunk *chunk,
				  struct rb_node **link, struct rb_node *parent)
{
	rb_link_node(&chunk->node, parent, link);
	rb_insert_color(&chunk->node, &set->root);
	set->nr++;
}

/**
 * splice_vm_chunks_make() - the chunk of an index, made when there is none
 * @set: the set
 * @index: of the chunk
 *
 * Return: the chunk, or NULL when there is none and the pool is empty
 */
struct splice_vm_chunk *splice_vm_chunks_make(struct splice_vm_chunk_set *set,
					      unsigned long index)
{
	struct rb_node *parent, **link = splice_vm_chunks_slot(set, index, &parent);
	struct splice_vm_chunk *chunk;

	if (*link)
		return rb_entry(*link, struct splice_vm_chunk, node);
	chunk = list_first_entry_or_null(&set->pool, struct splice_vm_chunk, list);
	if (!chunk)
		return NULL;
	list_del(&chunk->list);
	set->nr_pool--;
	memset(chunk, 0, sizeof(*chunk));
	chunk->index = index;
	splice_vm_chunks_link(set, chunk, link, parent);
	return chunk;
}

/* Takes a chunk off the set: the caller owns the chunk from now on. */
void splice_vm_chunks_take(struct splice_vm_chunk_set *set, struct splice_vm_chunk *chunk)
{
	rb_erase(&chunk->node, &set->root);
	set->nr--;
}

/**
 * splice_vm_chunks_put_back() - a chunk that was taken off is to be in the set all the same
 * @set: the set
 * @chunk: belongs to the set from now on. The set may have got another one of the same index
 *	meanwhile: that one takes in what @chunk says
 */
void splice_vm_chunks_put_back(struct splice_vm_chunk_set *set,
			       struct splice_vm_chunk *chunk)
{
	struct rb_node *parent, **link;
	struct splice_vm_chunk *other;

	link = splice_vm_chunks_slot(set, chunk->index, &parent);
	if (!*link) {
		splice_vm_chunks_link(set, chunk, link, parent);
		return;
	}
	other = rb_entry(*link, struct splice_vm_chunk, node);
	splice_vm_chunk_merge(other, chunk->dirty, chunk->extra_refs);
	bitmap_or(other->recheck, other->recheck, chunk->recheck, SPLICE_VM_CHUNK_PAGES);
	splice_vm_chunks_give(set, chunk);
}

/**
 * splice_vm_chunk_merge() - pages of a chunk were written
 * @chunk: the chunk
 * @dirty: bitmap of the pages
 * @extra_refs: bitmap: of @dirty the pages that are in it because of extra references only
 *
 * A page that was written in any epoch is not merely held.
 */
void splice_vm_chunk_merge(struct splice_vm_chunk *chunk, const unsigned long *dirty,
			   const unsigned long *extra_refs)
{
	unsigned int i;

	for (i = 0; i < SPLICE_VM_CHUNK_WORDS; i++) {
		unsigned long written;

		written = (chunk->dirty[i] & ~chunk->extra_refs[i]) |
			  (dirty[i] & ~extra_refs[i]);
		chunk->dirty[i] |= dirty[i];
		chunk->extra_refs[i] = chunk->dirty[i] & ~written;
	}
}

/**
 * splice_vm_chunk_clear() - nothing is said of some pages any more
 * @chunk: the chunk
 * @from: first page of the chunk
 * @to: page after the last one
 */
void splice_vm_chunk_clear(struct splice_vm_chunk *chunk, unsigned int from,
			   unsigned int to)
{
	if (from >= to)
		return;
	bitmap_clear(chunk->dirty, from, to - from);
	bitmap_clear(chunk->extra_refs, from, to - from);
	bitmap_clear(chunk->recheck, from, to - from);
}
