// SPDX-License-Identifier: GPL-2.0
#include "base/clock.h"
#include "base/report.h"
#include "source/choose.h"
#include "source/parts.h"
#include "source/precopy_scan.h"
#include "source/scan.h"
#include "source/setup.h"

/*
 * The list of mappings is read after the scan: a dirty page in no mapping of the list was unmapped
 * or moved since the scan, and the next scan reports that.
 */
static int follow_vmas(struct precopy *pre, struct source_process *process, struct error *err)
{
	struct source_mm *mm = &process->mm;
	bool changed;

	if (source_mm_follow_vmas(mm, &changed, err))
		return -1;
	return changed && process->announced ?
	       setup_send_maps(pre->ctl, mm->object, &mm->vmas, err) : 0;
}

/* Begin to follow writes, where rounds or CRIU use them. */
static int track(const struct precopy *pre, struct source_mm *mm, struct error *err)
{
	if (mm->tracked || !mode_follows(pre->mode, mm->backend))
		return 0;
	if (mm->backend->ops->track(mm->backend, err))
		return -1;
	mm->tracked = true;
	return 0;
}

static int track_all(struct precopy *pre, struct error *err)
{
	struct source_process *process;

	tree_for_each(pre->tree, process)
		if (track(pre, &process->mm, err) && !tree_forgive(pre->tree, process, err))
			return -1;
	return 0;
}

static bool is_to_be_looked_at(const struct source_mm *mm)
{
	return mm->tracked && mm->backend->ops->look;
}

static bool looks(const struct precopy *pre)
{
	const struct source_mm *mm;
	bool found = false;

	tree_for_each_mm(pre->tree, mm)
		found |= is_to_be_looked_at(mm);
	return found;
}

/*
 * The program stands once for the looks at all address spaces (backend/soft_dirty.h says why nothing is
 * lost). Meanwhile nothing is sent, nothing is compared, and a process whose look fails is not waited for:
 * scan_process() gets the failure. A process that does not stand is left out until the next round: its
 * parent has ended, and it has left the program.
 */
static int look_all(struct precopy *pre, struct error *err)
{
	const struct backend_hold *hold = &pre->hold;
	uint64_t begin = clock_now_ns();
	struct source_mm *mm;
	int ret;

	if (!looks(pre))
		return 0;
	ret = hold->freeze(hold->ctx, err);
	if (!ret)
		tree_for_each_mm(pre->tree, mm)
			if (is_to_be_looked_at(mm) && hold->stands(hold->ctx, mm->pid))
				scan_look(mm, false);
	if (hold->thaw(hold->ctx, err))
		ret = -1;
	pre->figures->rounds_stood_ns += clock_now_ns() - begin;
	report_event("looked", json_pack("{s:I}", "stood_ns",
					 (json_int_t)pre->figures->rounds_stood_ns));
	return ret;
}

static int scan_process(struct precopy *pre, struct source_process *process, struct error *err)
{
	struct source_mm *mm = &process->mm;

	hot_begin(&mm->hot);
	mm->by_parts = pre->mode != MODE_POSTCOPY && parts_can(pre->tree, process);
	if (mm->tracked && (mm->by_parts ? scan_list(mm, err) : scan_mm(mm, pre->sender, err)))
		return -1;
	if (follow_vmas(pre, process, err))
		return -1;
	source_mm_filter_dirty(mm, &mm->vmas);
	/* a child is told to take its parent's page as it was sent */
	return parts_is_alone(pre->tree, process) ? hot_find(&mm->hot, err) : 0;
}

static const struct source_mm *parent_of(const struct precopy *pre, const struct source_process *process)
{
	return tree_find_mm(pre->tree, process->inherit.parent);
}

/* @looked: of the processes whose looks have recorded the frames, or of the others */
static int find_shared(const struct precopy *pre, struct source_process *process, bool looked,
		       struct error *err)
{
	if (pre->mode == MODE_POSTCOPY || (process->mm.backend->ops->frames != NULL) != looked)
		return 0;
	return inherit_find(&process->inherit, &process->mm, parent_of(pre, process), err);
}

/* A process is scanned before its parent, which comes before it in the tree: source/inherit.h. */
static int scan_all(struct precopy *pre, struct error *err)
{
	for (size_t i = pre->tree->nr; i-- > 0; ) {
		struct source_process *process = pre->tree->processes[i];

		if (process->gone)
			continue;
		if (scan_process(pre, process, err)) {
			if (!tree_forgive(pre->tree, process, err))
				return -1;
		} else if (find_shared(pre, process, false, err)) {
			return -1;
		}
	}
	return 0;
}

static int find_shms(struct precopy *pre, struct error *err)
{
	int ret;

	tree_read_files(pre->tree, false);
	ret = shms_find(pre->shms, pre->tree, err);
	tree_forget_files(pre->tree);
	return ret;
}

int precopy_scan_next(struct precopy *pre, struct error *err)
{
	struct source_process *process;

	pre->scanned_ns = clock_now_ns();
	if (tree_follow(pre->tree, pre->join, pre->ctx, err) || track_all(pre, err) ||
	    look_all(pre, err) || scan_all(pre, err))
		return -1;
	tree_for_each(pre->tree, process)
		if (find_shared(pre, process, true, err) ||
		    inherit_plan(&process->inherit, parent_of(pre, process), err))
			return -1;
	return setup_send_changes(pre->ctl, pre->tree, err) || find_shms(pre, err) ||
	       shms_look(pre->shms, err) || shms_announce(pre->shms, pre->ctl, err) ? -1 : 0;
}

int precopy_take_listed(struct precopy *pre, struct error *err)
{
	struct source_process *process;

	tree_for_each(pre->tree, process) {
		struct source_mm *mm = &process->mm;

		if (!mm->by_parts)
			continue;
		if (scan_mm(mm, pre->sender, err) || follow_vmas(pre, process, err)) {
			if (!tree_forgive(pre->tree, process, err))
				return -1;
			continue;
		}
		source_mm_filter_dirty(mm, &mm->vmas);
	}
	return 0;
}
