// SPDX-License-Identifier: GPL-2.0
/* How runs and pages are packed for the wire. */
#include <linux/mm.h>

#include "batch.h"

void splice_vm_batch_reset(struct splice_vm_batch_buf *batch)
{
	batch->nr_runs = 0;
	batch->nr_pages = 0;
	batch->charge = 0;
	batch->nr_pieces = 0;
}

/* Pages of one folio that follow each other go out as one piece. */
static bool splice_vm_piece_grow(struct bio_vec *last, struct page *page)
{
	struct page *next = last->bv_page + (last->bv_len >> PAGE_SHIFT);

	if (page != next || page_folio(page) != page_folio(last->bv_page))
		return false;
	last->bv_len += PAGE_SIZE;
	return true;
}

static void splice_vm_batch_add_page(struct splice_vm_batch_buf *batch,
				     struct page *page)
{
	struct bio_vec *last = NULL;

	if (batch->nr_pieces)
		last = &batch->bvec[batch->nr_pieces - 1];
	if (last && splice_vm_piece_grow(last, page))
		return;
	batch->bvec[batch->nr_pieces++] = (struct bio_vec){
		.bv_page = page,
		.bv_len = PAGE_SIZE,
	};
	if (!last || page_folio(page) != page_folio(last->bv_page))
		batch->charge += folio_nr_pages(page_folio(page));
}

/**
 * splice_vm_batch_add() - pages that the caller has put into @batch->pages
 * @batch: the batch
 * @addr: of the first
 * @nr: how many were put at index nr_pages and after
 * @limit: of the batch's charge; once it is reached no more folios are added
 *
 * Return: how many were added, at least 1; the rest is still the caller's
 */
unsigned int splice_vm_batch_add(struct splice_vm_batch_buf *batch,
				 unsigned long addr, unsigned int nr,
				 unsigned long limit)
{
	struct page **pages = batch->pages + batch->nr_pages;
	struct splice_vm_run *last = NULL;
	unsigned int added = 0;

	/* More pages of a folio cost nothing: the folio was charged whole. */
	do {
		splice_vm_batch_add_page(batch, pages[added]);
	} while (++added < nr &&
		 (batch->charge < limit ||
		  page_folio(pages[added]) == page_folio(pages[added - 1])));

	if (batch->nr_runs)
		last = &batch->runs[batch->nr_runs - 1];
	if (last && last->addr + ((u64)last->nr_pages << PAGE_SHIFT) == addr)
		last->nr_pages += added;
	else
		batch->runs[batch->nr_runs++] = (struct splice_vm_run){
			.addr = addr,
			.nr_pages = added,
		};
	batch->nr_pages += added;
	return added;
}

/**
 * splice_vm_batch_write() - head, runs and pages to a socket
 * @batch: the batch, not empty; keeps its references
 * @cookie: goes into the head
 * @ss: the socket
 * @sent: bytes that went out are added
 *
 * Return: 0, or as splice_vm_sock_write(); then the batch may be half-written
 */
int splice_vm_batch_write(struct splice_vm_batch_buf *batch, u64 cookie,
			  struct splice_vm_sock *ss, u64 *sent)
{
	int ret;

	BUILD_BUG_ON(offsetof(struct splice_vm_batch_buf, runs) !=
		     sizeof(batch->head));
	batch->head = (struct splice_vm_batch){
		.magic = cpu_to_le32(SPLICE_VM_BATCH_MAGIC),
		.nr_runs = cpu_to_le32(batch->nr_runs),
		.nr_pages = cpu_to_le32(batch->nr_pages),
		.cookie = cpu_to_le64(cookie),
	};
	ret = splice_vm_sock_write(ss, &batch->head, sizeof(batch->head) +
				   batch->nr_runs * sizeof(batch->runs[0]),
				   sent);
	if (ret)
		return ret;
	return splice_vm_sock_write_pages(ss, batch->bvec, batch->nr_pieces,
					  (size_t)batch->nr_pages << PAGE_SHIFT,
					  sent);
}
