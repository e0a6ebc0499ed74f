/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that a backend sends by copying them: as PAGES frames, or as PACKED ones where the sender wants them compressed.
 *
 * A page has the content of some moment between its scan and its frame, and a page that the program writes while it is
 * read may be half old, half new. Neither is ever the last word: what is written behind the scan that named the page is in
 * the next scan, and comes again. That is true of a copy as of a reference, of which the content is that of a
 * later moment, when the page leaves the socket. A list (backend_ops.list) names a page before its part is protected: the part
 * is scanned, and protected, before any page of it is read. While the program stands nothing writes.
 */
#ifndef MIGRATE_BACKEND_BATCH_H
#define MIGRATE_BACKEND_BATCH_H

#include "backend/backend.h"
#include "wire/stream.h"

#define BATCH_RUNS	512	/* of one frame, and of one process_vm_readv() */

/** struct batch - some runs, whose pages go through one buffer */
struct batch {
	struct splice_vm_run runs[BATCH_RUNS];
	uint32_t nr, nr_pages;
};

/**
 * struct batch_way - how a backend reads
 * @read: the pages of @batch to @buf. Return: how many pages, from the first on; 0: the first cannot be read in this way
 * @confirm: called right behind each read, with the pages that were read; or NULL
 */
struct batch_way {
	uint32_t (*read)(struct backend *backend, const struct batch *batch, void *buf);
	void (*confirm)(struct backend *backend, const struct batch *batch);
};

/** batch_send() - backend_ops.send. A page that @way does not read is read by backend_ops.read, or told as gone */
int batch_send(struct backend *backend, const struct batch_way *way, struct backend_send *send,
	       const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn, void *ctx,
	       struct error *err);

#endif
