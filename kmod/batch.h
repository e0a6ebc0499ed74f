/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_BATCH_H
#define SPLICE_VM_BATCH_H

#include <linux/bvec.h>
#include <linux/splice_vm.h>

#include "sock.h"

#define SPLICE_VM_BATCH_PAGES	512

/**
 * struct splice_vm_batch_buf - a batch as it is put together
 * @head: first bytes on the wire
 * @runs: next bytes on the wire; @nr_runs of them
 * @nr_runs: runs so far
 * @nr_pages: pages so far
 * @charge: pages that are held for them; a huge page counts whole, and anew where it
 *	comes back after another
 * @nr_pieces: pieces of @bvec
 * @pages: references owned by the batch
 * @bvec: the same pages, neighbours in one folio put together
 */
struct splice_vm_batch_buf {
	struct splice_vm_batch head;
	struct splice_vm_run runs[SPLICE_VM_BATCH_PAGES];
	unsigned int nr_runs;
	unsigned int nr_pages;
	unsigned long charge;
	unsigned int nr_pieces;
	struct page *pages[SPLICE_VM_BATCH_PAGES];
	struct bio_vec bvec[SPLICE_VM_BATCH_PAGES];
};

void splice_vm_batch_reset(struct splice_vm_batch_buf *batch);
unsigned int splice_vm_batch_add(struct splice_vm_batch_buf *batch,
				 unsigned long addr, unsigned int nr,
				 unsigned long limit);
int splice_vm_batch_write(struct splice_vm_batch_buf *batch, u64 cookie,
			  struct splice_vm_sock *ss, u64 *sent);

#endif
