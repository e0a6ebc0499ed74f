// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <xxhash.h>
#include "source/digest.h"
#include "wire/stream.h"

#define PIECES_PER_MSG	4096

/**
 * struct digests - a message in the making
 * @process: whose memory is read
 * @buf: the pages of one piece
 */
struct digests {
	struct control *ctl;
	struct mailbox *box;
	struct source_process *process;
	Migrate__DigestRun runs[PIECES_PER_MSG], *list[PIECES_PER_MSG];
	size_t nr;
	uint8_t buf[FRAME_MAX_PAGES * PAGE_BYTES];
};

static int flush(struct digests *digests, bool last, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Digests body = MIGRATE__DIGESTS__INIT;

	body.runs = digests->list;
	body.n_runs = digests->nr;
	body.last = last;
	body.object = digests->process->mm.object;
	msg.body_case = MIGRATE__CONTROL__BODY_DIGESTS;
	msg.digests = &body;
	digests->nr = 0;
	return control_send(digests->ctl, &msg, err);
}

static int add_piece(struct digests *digests, const struct run *run, struct error *err)
{
	Migrate__DigestRun *to = &digests->runs[digests->nr];
	struct backend *backend = digests->process->mm.backend;
	size_t bytes = run->nr_pages << PAGE_SHIFT, done;

	/* a message of pieces is some GiB of memory, and --max-frozen may pass meanwhile */
	if (mailbox_failed(digests->box, err) ||
	    backend->ops->read(backend, run->addr, digests->buf, bytes, &done, err))
		return -1;
	if (done != bytes)
		return error_set(err, CODE_TARGET, NULL,
				 "memory at 0x%lx of the stopped program cannot be read", run->addr);
	criu_task_mask(&digests->process->task, run->addr, digests->buf, bytes);
	migrate__digest_run__init(to);
	to->addr = run->addr;
	to->nr_pages = run->nr_pages;
	to->xxh3 = XXH3_64bits(digests->buf, bytes);
	digests->list[digests->nr++] = to;
	return digests->nr == PIECES_PER_MSG ? flush(digests, false, err) : 0;
}

static int add_process(struct digests *digests, struct source_process *process, struct error *err)
{
	const struct source_mm *mm = &process->mm;
	struct run run;

	digests->process = process;
	/* by mapping, since the other side may not read across a border */
	for (size_t i = 0; i < mm->frozen_vmas->nr; i++) {
		const struct vma *vma = &mm->frozen_vmas->vmas[i];
		uint64_t at = vma->start;

		while (page_set_next(&mm->populated, at, vma->end, FRAME_MAX_PAGES, &run)) {
			if (add_piece(digests, &run, err))
				return -1;
			at = run.addr + (run.nr_pages << PAGE_SHIFT);
		}
	}
	/* a message is of one object */
	return digests->nr ? flush(digests, false, err) : 0;
}

int digest_send(const struct tree *tree, struct control *ctl, struct mailbox *box,
		struct error *err)
{
	struct digests *digests = calloc(1, sizeof(*digests));
	struct source_process *process;
	int ret = 0;

	if (!digests)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for digests");
	digests->ctl = ctl;
	digests->box = box;
	tree_for_each(tree, process)
		if (!ret)
			ret = add_process(digests, process, err);
	if (!ret)
		ret = flush(digests, true, err);
	free(digests);
	return ret;
}
