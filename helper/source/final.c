// SPDX-License-Identifier: GPL-2.0
#include "base/clock.h"
#include "base/report.h"
#include "base/spread.h"
#include "source/announce.h"
#include "source/final.h"
#include "source/first_pages.h"
#include "source/scan.h"
#include "source/setup.h"
#include "source/sharers.h"
#include "source/shm_compare.h"
#include "source/shm_send.h"

#define SEND_RUNS	512
#define SEND_PAGES	16384UL

static int say_frozen(const struct final *final, struct error *err)
{
	Migrate__CriuVersion criu = MIGRATE__CRIU_VERSION__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Frozen frozen = MIGRATE__FROZEN__INIT;

	criu.major = final->criu->major;
	criu.minor = final->criu->minor;
	criu.sublevel = final->criu->sublevel;
	frozen.criu = &criu;
	msg.body_case = MIGRATE__CONTROL__BODY_FROZEN;
	msg.frozen = &frozen;
	return control_send(final->ctl, &msg, err);
}

static bool is_tracked(const struct source_mm *mm)
{
	return mm->tracked;
}

static int send_stale(const struct final *final, struct source_process *process, struct error *err)
{
	struct source_mm *mm = &process->mm;

	if (!mm->tracked || final->mode == MODE_POSTCOPY)
		return 0;
	if (mm->backend->stands_first && criu_task_add_rseq(&process->task, &mm->dirty, err))
		return -1;
	source_mm_filter_dirty(mm, &process->task.vmas);
	return sender_set(final->sender, mm, FRAME_STALE, &mm->dirty, err);
}

/* Everything that was written since the last round, by the program or in its name. */
static int send_last_dirty(const struct final *final, struct error *err)
{
	struct source_process *process;

	tree_for_each(final->tree, process)
		if (process->mm.tracked)
			scan_look(&process->mm, true);
	if (scan_tree(final->tree, is_tracked, false, final->sender, err))
		return -1;
	tree_for_each(final->tree, process)
		if (send_stale(final, process, err))
			return -1;
	return 0;
}

static int read_task(void *ctx, size_t at, struct error *err)
{
	const struct final *final = ctx;
	struct source_process *process = final->tree->processes[at];

	return process->gone ? 0 :
	       criu_task_read(final->images_fd, process->status.ns_pid, &process->task, err);
}

static int read_images(const struct final *final, struct error *err)
{
	struct source_process *process;

	if (spread_run(final->tree->nr, read_task, (void *)final, err))
		return -1;
	tree_for_each(final->tree, process) {
		shms_forget_rseq(final->shms, &process->task);
		/* the destination takes frames after Frozen, which comes after Objects */
		process->mm.begun = true;
	}
	return 0;
}

static int list_one(void *ctx, size_t at, struct error *err)
{
	const struct final *final = ctx;
	struct source_process *process = final->tree->processes[at];

	return process->gone ? 0 : source_mm_freeze(&process->mm, &process->task.vmas, err);
}

static int find_pages(const struct final *final, struct error *err)
{
	struct frozen_time *time = &final->figures->frozen;
	struct source_process *process;
	uint64_t pages = 0;

	if (shms_look(final->shms, err) || shms_announce(final->shms, final->ctl, err))
		return -1;
	frozen_time_enter(time, MIGRATE__FROZEN_PART__READ_IMAGES);
	if (read_images(final, err))
		return -1;
	frozen_time_enter(time, MIGRATE__FROZEN_PART__LAST_SCAN);
	if (send_last_dirty(final, err))
		return -1;
	frozen_time_enter(time, MIGRATE__FROZEN_PART__LISTS);
	if (spread_run(final->tree->nr, list_one, (void *)final, err))
		return -1;
	tree_for_each(final->tree, process) {
		if (setup_send_maps(final->ctl, process->mm.object, &process->task.vmas, err))
			return -1;
		pages += source_mm_pages_with(&process->mm, &process->mm.populated);
	}
	return announce_memory(final->ctl, pages + shms_pages(final->shms), err);
}

/*
 * Mode precopy: all that is unsent, while the program stands. A parent comes before its children in the tree:
 * what it has sent they need not send.
 */
static int send_unsent(const struct final *final, struct source_process *process, struct error *err)
{
	const struct source_mm *parent = tree_find_mm(final->tree, process->inherit.parent);
	struct source_mm *mm = &process->mm;
	struct splice_vm_run runs[SEND_RUNS];
	uint64_t at = 0;
	uint32_t nr;

	if (parent && sharers_copy(final->sender, parent, mm, err))
		return -1;
	while ((nr = source_mm_take_unsent(mm, &at, runs, SEND_RUNS,
					   sender_most(final->sender, SEND_PAGES), NULL)))
		if (mailbox_failed(final->box, err) ||
		    sender_pages(final->sender, mm, runs, nr, err))
			return -1;
	return 0;
}

static int send_all_unsent(const struct final *final, struct error *err)
{
	uint64_t begin = clock_now_ns(), pages = final->sender->pages, bytes = final->sender->bytes;
	struct figures *figures = final->figures;
	struct source_process *process;

	tree_for_each(final->tree, process)
		if (send_unsent(final, process, err))
			return -1;
	figures->frozen_pages = final->sender->pages - pages;
	figures->frozen_bytes = final->sender->bytes - bytes;
	figures->frozen_send_ns = clock_now_ns() - begin;
	report_say("sent while it stood: %.1f MiB in %.2f s", figures->frozen_bytes / 1048576.0,
		   figures->frozen_send_ns / 1e9);
	return 0;
}

int final_send(const struct final *final, struct error *err)
{
	struct source_mm *mm;

	final->sender->frozen = true;
	/* of a round that was not announced: the destination takes these frames after Maps */
	final->sender->round = final->round + 1;
	if (tree_compare(final->tree, final->images_fd, err) ||
	    setup_send_changes(final->ctl, final->tree, err) ||
	    find_pages(final, err) || say_frozen(final, err))
		return -1;
	tree_for_each_mm(final->tree, mm) {
		if (sender_set(final->sender, mm, FRAME_POPULATED, &mm->populated, err) ||
		    source_mm_find_unsent(mm, err))
			return -1;
	}
	frozen_time_enter(&final->figures->frozen, MIGRATE__FROZEN_PART__COMPARE_SHARED);
	if (shms_send(final->shms, final->sender, final->box, err) ||
	    shms_send_lists(final->shms, final->sender, err))
		return -1;
	final->figures->shared = (struct shared_figures){
		.objects = shms_nr(final->shms), .rounds_pages = final->shms->rounds_pages,
		.frozen_pages = final->shms->frozen_pages,
		.compared_pages = final->shms->compared_pages,
		.early_pages = final->shms->early_pages,
	};
	frozen_time_enter(&final->figures->frozen, MIGRATE__FROZEN_PART__SEND_PAGES);
	sharers_open(final->tree);
	if (final->mode == MODE_PRECOPY ? send_all_unsent(final, err) :
	    first_pages_send(final->sender, final->tree, err))
		return -1;
	atomic_store(&final->tree->fixed, true);
	tree_for_each_mm(final->tree, mm)
		if (sender_mark(final->sender, mm, FRAME_FINAL, err))
			return -1;
	return shms_mark(final->shms, final->sender, FRAME_FINAL, err) || sender_end(final->sender, FRAME_FINAL, err) ? -1 : 0;
}
