// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "source/outgoing.h"

#define PIECES_PER_MSG	4096

/** struct digests - a message in the making */
struct digests {
	Migrate__DigestRun runs[PIECES_PER_MSG], *list[PIECES_PER_MSG];
	size_t nr;
	uint8_t buf[FRAME_MAX_PAGES * PAGE_BYTES];
};

static int flush(struct outgoing *out, struct digests *digests, bool last, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Digests body = MIGRATE__DIGESTS__INIT;

	body.runs = digests->list;
	body.n_runs = digests->nr;
	body.last = last;
	msg.body_case = MIGRATE__CONTROL__BODY_DIGESTS;
	msg.digests = &body;
	digests->nr = 0;
	return control_send(out->ctl, &msg, err);
}

static int add_piece(struct outgoing *out, struct digests *digests, const struct run *run,
		     struct error *err)
{
	Migrate__DigestRun *to = &digests->runs[digests->nr];
	size_t bytes = run->nr_pages << PAGE_SHIFT, done;

	/* a message of pieces is some GiB of memory, and --max-frozen may pass meanwhile */
	if (mailbox_failed(&out->box, err) ||
	    out->backend->ops->read(out->backend, run->addr, digests->buf, bytes, &done, err))
		return -1;
	if (done != bytes)
		return error_set(err, CODE_TARGET, NULL,
				 "memory at 0x%lx of the stopped program cannot be read", run->addr);
	criu_task_mask(&out->task, run->addr, digests->buf, bytes);
	migrate__digest_run__init(to);
	to->addr = run->addr;
	to->nr_pages = run->nr_pages;
	to->xxh3 = XXH3_64bits(digests->buf, bytes);
	digests->list[digests->nr++] = to;
	return digests->nr == PIECES_PER_MSG ? flush(out, digests, false, err) : 0;
}

int outgoing_send_digests(struct outgoing *out, struct error *err)
{
	struct digests *digests = calloc(1, sizeof(*digests));
	struct run run;
	int ret = 0;

	if (!digests)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for digests");
	/* by mapping, since the other side may not read across a border */
	for (size_t i = 0; i < out->task.vmas.nr && !ret; i++) {
		const struct vma *vma = &out->task.vmas.vmas[i];
		uint64_t at = vma->start;

		while (!ret && page_set_next(&out->populated, at, vma->end, FRAME_MAX_PAGES, &run)) {
			ret = add_piece(out, digests, &run, err);
			at = run.addr + (run.nr_pages << PAGE_SHIFT);
		}
	}
	if (!ret)
		ret = flush(out, digests, true, err);
	free(digests);
	return ret;
}
