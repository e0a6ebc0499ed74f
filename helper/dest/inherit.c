// SPDX-License-Identifier: GPL-2.0
#include "dest/inherit.h"
#include "pages/sets.h"
#include "wire/stream.h"

static int refuse_copy(const struct mm *mm, uint64_t addr, const char *why, struct error *err)
{
	return error_set(err, CODE_PEER, NULL, "the copy of page 0x%lx of object %u's parent: %s", addr,
			 mm->id, why);
}

static int read_parent(const struct mm *mm, const struct run *run, void *buf, struct error *err)
{
	struct mm *parent = mm->parent;
	struct run has;
	int ret = 0;

	mm_lock(parent);
	if (parent->gone)
		ret = refuse_copy(mm, run->addr, "the parent is gone", err);
	else if (!page_set_next(&parent->mirror.have, run->addr, run_end(run), 0, &has) ||
		 has.addr != run->addr || has.nr_pages != run->nr_pages)
		ret = refuse_copy(mm, run->addr, "the parent lacks it", err);
	else
		ret = mirror_read(&parent->mirror, run->addr, run->nr_pages, buf, err);
	mm_unlock(parent);
	return ret;
}

static int write_own(struct mm *mm, const struct run *run, const void *buf, struct error *err)
{
	int ret;

	mm_lock(mm);
	if (!mirror_announced(&mm->mirror, run->addr, run->nr_pages))
		ret = refuse_copy(mm, run->addr, "it lies outside of the announced mappings", err);
	else
		ret = mirror_write(&mm->mirror, run->addr, run->nr_pages, buf, err);
	mm->round_copies += run->nr_pages;
	/* 16 bytes on the wire cost a copy of a huge run here */
	if (!ret && mm->round_copies > mm->mirror.have.nr)
		ret = refuse_copy(mm, run->addr, "twice in a round", err);
	mm_unlock(mm);
	if (!ret)
		place_came(mm->place, run->nr_pages * PAGE_BYTES);
	return ret;
}

int inherit_copy(struct mm *mm, const struct splice_vm_run *runs, uint32_t nr_runs, void *buf,
		 struct error *err)
{
	if (!mm->parent)
		return refuse_copy(mm, runs[0].addr, "it has no parent", err);
	for (uint32_t i = 0; i < nr_runs; i++) {
		struct run piece = { .addr = runs[i].addr };
		uint64_t left = runs[i].nr_pages;

		for (; left; left -= piece.nr_pages, piece.addr = run_end(&piece)) {
			piece.nr_pages = left < FRAME_MAX_PAGES ? left : FRAME_MAX_PAGES;
			if (read_parent(mm, &piece, buf, err) || write_own(mm, &piece, buf, err))
				return -1;
		}
	}
	return 0;
}
