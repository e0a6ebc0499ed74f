// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/io.h"
#include "source/digest.h"
#include "wire/stream.h"

#define PIECES_PER_MSG	4096

/**
 * struct digests - a message in the making
 * @object: what the pieces are of
 * @process: whose memory is read
 * @buf: the pages of one piece
 */
struct digests {
	struct control *ctl;
	struct mailbox *box;
	uint32_t object;
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
	body.object = digests->object;
	msg.body_case = MIGRATE__CONTROL__BODY_DIGESTS;
	msg.digests = &body;
	digests->nr = 0;
	return control_send(digests->ctl, &msg, err);
}

/* The pages of @run are in the buffer. */
static int add_digest(struct digests *digests, const struct run *run, struct error *err)
{
	Migrate__DigestRun *to = &digests->runs[digests->nr];

	migrate__digest_run__init(to);
	to->addr = run->addr;
	to->nr_pages = run->nr_pages;
	to->xxh3 = XXH3_64bits(digests->buf, run->nr_pages << PAGE_SHIFT);
	digests->list[digests->nr++] = to;
	return digests->nr == PIECES_PER_MSG ? flush(digests, false, err) : 0;
}

static int add_piece(struct digests *digests, const struct run *run, struct error *err)
{
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
	return add_digest(digests, run, err);
}

static int add_process(struct digests *digests, struct source_process *process, struct error *err)
{
	const struct source_mm *mm = &process->mm;
	struct run run;

	digests->process = process;
	digests->object = mm->object;
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

/* The end of the object may be in the middle of a page. */
static int add_shm(struct digests *digests, const struct source_shm *shm, struct error *err)
{
	uint64_t at = 0;
	struct run run;
	size_t done;

	digests->object = shm->object;
	while (page_set_next(&shm->data, at, USER_END, FRAME_MAX_PAGES, &run)) {
		size_t bytes = run.nr_pages << PAGE_SHIFT;

		if (mailbox_failed(digests->box, err))
			return -1;
		if (io_pread_all(shm->fd, digests->buf, bytes, run.addr, &done))
			return error_errno(err, CODE_TARGET, NULL,
					   "cannot read shared memory \"%s\"", shm->name);
		memset(digests->buf + done, 0, bytes - done);
		if (add_digest(digests, &run, err))
			return -1;
		at = run.addr + bytes;
	}
	return digests->nr ? flush(digests, false, err) : 0;
}

int digest_send(const struct tree *tree, const struct source_shms *shms, struct control *ctl,
		struct mailbox *box, struct error *err)
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
	for (size_t i = 0; i < shms->nr && !ret; i++)
		if (!shms->list[i]->gone)
			ret = add_shm(digests, shms->list[i], err);
	if (!ret)
		ret = flush(digests, true, err);
	free(digests);
	return ret;
}
