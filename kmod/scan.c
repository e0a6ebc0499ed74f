// SPDX-License-Identifier: GPL-2.0
/*
 * SCAN: what the tracker collected (scan_tracked.c), what there is (populated.c), or what is mapped
 * (mappings.c). Runs are put together in kernel memory under the target's mmap_lock, and copied out
 * without it, since the caller may scan itself.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/splice_vm.h>

#include "mappings.h"
#include "stats.h"
#include "populated.h"
#include "reserve.h"
#include "scan.h"
#include "scan_tracked.h"

#define SPLICE_VM_SCAN_RUNS	4096
/* Most scans find little: a page of them before memory for all is taken, and cleared. */
#define SPLICE_VM_SCAN_FEW_RUNS	(PAGE_SIZE / sizeof(struct splice_vm_run))
/* Page tables that are read in one hold of the mmap lock: some milliseconds. */
#define SPLICE_VM_SCAN_TABLES	256

static int splice_vm_scan_loop(struct splice_vm_scan_call *call,
			       struct mm_struct *mm,
			       bool (*step)(struct splice_vm_scan_call *call,
					    struct mm_struct *mm))
{
	bool more = true;

	while (more) {
		if (fatal_signal_pending(current) || mmap_read_lock_killable(mm))
			return -EINTR;
		call->vma = NULL;
		for (call->tables = SPLICE_VM_SCAN_TABLES; more && call->tables > 0; call->tables--)
			more = step(call, mm);
		mmap_read_unlock(mm);
		cond_resched();
		if (call->full && splice_vm_runs_grow(&call->runs)) {
			call->full = false;
			more = true;
		}
	}
	return 0;
}

/* After a failure: pages that were taken off the log must be reported again. */
static void splice_vm_scan_undo(struct splice_vm_scan_call *call)
{
	unsigned int i;

	for (i = 0; i < call->runs.nr; i++) {
		const struct splice_vm_run *run = &call->runs.v[i];

		splice_vm_dirty_log_recheck(&call->sess->dirty_log, run->addr, run->addr +
					    ((unsigned long)run->nr_pages << PAGE_SHIFT));
	}
}

static int splice_vm_scan_report(struct splice_vm_scan_call *call,
				 struct splice_vm_scan *scan)
{
	if (copy_to_user((void __user *)call->user, call->runs.v,
			 call->runs.nr * sizeof(*call->runs.v)))
		return -EFAULT;
	scan->nr_runs = call->runs.nr;
	scan->start = min(call->addr, call->end);
	scan->done = call->addr >= call->end;
	return 0;
}

/* Only the walk keeps the target's memory from going away, not the copy to the caller. */
static int splice_vm_scan_walk(struct splice_vm_scan_call *call,
			       bool (*step)(struct splice_vm_scan_call *call,
					    struct mm_struct *mm))
{
	struct mm_struct *mm = splice_vm_target_get(call->sess);
	int ret;

	if (IS_ERR(mm))
		return PTR_ERR(mm);
	/* Without memory the log gets coarser, no less right. */
	if (step == splice_vm_scan_tracked_step)
		splice_vm_reserve(call->sess, mm);
	ret = splice_vm_scan_loop(call, mm, step);
	splice_vm_target_put(mm);
	return ret;
}

static int splice_vm_scan_tracked(struct splice_vm_scan_call *call,
				  struct splice_vm_scan *scan)
{
	struct splice_vm_session *sess = call->sess;
	int ret;

	if (mutex_lock_killable(&sess->lock))
		return -EINTR;
	if (!sess->tracker) {
		ret = -ENOTCONN;
		goto out_unlock;
	}
	scan->epoch = atomic64_read(&sess->epochs);
	ret = splice_vm_scan_walk(call, splice_vm_scan_tracked_step);
	if (!ret)
		ret = splice_vm_scan_report(call, scan);
	if (ret)
		splice_vm_scan_undo(call);
	else
		atomic64_set(&sess->epochs_seen, scan->epoch);
out_unlock:
	mutex_unlock(&sess->lock);
	return ret;
}

static int splice_vm_scan_populated(struct splice_vm_scan_call *call,
				    struct splice_vm_scan *scan)
{
	int ret;

	scan->epoch = atomic64_read(&call->sess->epochs);
	ret = splice_vm_scan_walk(call, splice_vm_populated_step);
	return ret ?: splice_vm_scan_report(call, scan);
}

static int splice_vm_scan_mappings(struct splice_vm_scan_call *call,
				   struct splice_vm_scan *scan)
{
	struct splice_vm_session *sess = call->sess;
	int ret;

	if (mutex_lock_killable(&sess->lock))
		return -EINTR;
	scan->epoch = atomic64_read(&sess->epochs);
	if (!sess->tracker)
		ret = -ENOTCONN;
	else if (sess->tracker->id != SPLICE_VM_TRACKER_EVENTS)
		ret = -EOPNOTSUPP;
	else
		ret = splice_vm_scan_walk(call, splice_vm_mappings_step);
	mutex_unlock(&sess->lock);
	return ret ?: splice_vm_scan_report(call, scan);
}

static int splice_vm_scan_check(const struct splice_vm_scan *scan)
{
	if (hweight32(scan->flags) != 1 || !scan->nr_runs ||
	    !PAGE_ALIGNED(scan->start) || scan->start >= scan->end)
		return -EINVAL;
	if (scan->end < TASK_SIZE_MAX && !PAGE_ALIGNED(scan->end))
		return -EINVAL;
	return 0;
}

/**
 * splice_vm_scan() - SPLICE_VM_SCAN
 * @sess: the session
 * @arg: struct splice_vm_scan, a kernel copy
 */
long splice_vm_scan(struct splice_vm_session *sess, void *arg)
{
	struct splice_vm_scan *scan = arg;
	struct splice_vm_scan_call call = { .sess = sess };
	int ret = splice_vm_scan_check(scan);
	u32 max;

	if (ret)
		return ret;
	/* Pairs with the release in splice_vm_target_bind(). */
	if (!smp_load_acquire(&sess->mm))
		return -ENOTCONN;
	call.end = min_t(u64, scan->end, TASK_SIZE_MAX);
	call.addr = min_t(u64, scan->start, call.end);
	call.user = scan->runs;
	max = min_t(u32, scan->nr_runs, SPLICE_VM_SCAN_RUNS);
	ret = splice_vm_runs_init(&call.runs,
				  min_t(u32, max, SPLICE_VM_SCAN_FEW_RUNS), max);
	if (ret)
		return ret;
	if (scan->flags == SPLICE_VM_SCAN_TRACKED)
		ret = splice_vm_scan_tracked(&call, scan);
	else if (scan->flags == SPLICE_VM_SCAN_MAPPINGS)
		ret = splice_vm_scan_mappings(&call, scan);
	else
		ret = splice_vm_scan_populated(&call, scan);
	splice_vm_stats_scan(sess, scan, call.runs.v, call.runs.nr, ret);
	splice_vm_runs_free(&call.runs);
	return ret;
}

/**
 * splice_vm_scan_lost() - the answer to a SCAN did not reach the caller
 * @sess: the session
 * @arg: struct splice_vm_scan, as splice_vm_scan() left it
 *
 * All addresses up to where it came are looked at again by the next one.
 */
void splice_vm_scan_lost(struct splice_vm_session *sess, void *arg)
{
	struct splice_vm_scan *scan = arg;

	if (scan->flags != SPLICE_VM_SCAN_TRACKED)
		return;
	splice_vm_dirty_log_recheck(&sess->dirty_log, 0, scan->start);
	/* poll() says so again; epochs begin with 1. */
	atomic64_set(&sess->epochs_seen, scan->epoch - 1);
}
