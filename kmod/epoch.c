// SPDX-License-Identifier: GPL-2.0
/*
 * The events tracker: the caller finds the writes, the notifier the drops.
 *
 * EPOCH: the caller has write-protected a range and tells which pages were written in it. The
 * dirty log takes these pages in, and those that had extra references when the last epoch of the
 * range ended. Pages that have extra references now are noted for the next epoch.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/splice_vm.h>

#include "epoch.h"
#include "extra_refs.h"
#include "stats.h"
#include "reserve.h"

/* Page tables that extra_refs.c reads in one hold of the mmap lock: some milliseconds. */
#define SPLICE_VM_EPOCH_TABLES	64

/**
 * struct splice_vm_epoch_call - one EPOCH under way
 * @sess: whose
 * @runs: a kernel copy
 * @nr: how many
 * @start: first address of the range
 * @end: byte after the last
 */
struct splice_vm_epoch_call {
	struct splice_vm_session *sess;
	struct splice_vm_run *runs;
	unsigned int nr;
	unsigned long start;
	unsigned long end;
};

/* In order and within the range, so that all runs together are no longer than it. */
static int splice_vm_epoch_check_runs(const struct splice_vm_epoch_call *call)
{
	u64 from = call->start;
	unsigned int i;

	for (i = 0; i < call->nr; i++) {
		const struct splice_vm_run *run = &call->runs[i];
		u64 bytes = (u64)run->nr_pages << PAGE_SHIFT;

		if (run->flags || !bytes || !PAGE_ALIGNED(run->addr) ||
		    run->addr < from || run->addr > call->end ||
		    bytes > call->end - run->addr)
			return -EINVAL;
		from = run->addr + bytes;
	}
	return 0;
}

/* Which of the logged pages have extra references. */
static int splice_vm_epoch_held(const struct splice_vm_epoch_call *call,
				struct mm_struct *mm)
{
	unsigned long addr = call->start;

	while (addr < call->end) {
		unsigned int tables = SPLICE_VM_EPOCH_TABLES;

		if (fatal_signal_pending(current) || mmap_read_lock_killable(mm))
			return -EINTR;
		while (tables && addr < call->end)
			addr = splice_vm_extra_refs_collect(call->sess, mm, addr,
							    call->end, &tables);
		mmap_read_unlock(mm);
		cond_resched();
	}
	return 0;
}

static int splice_vm_epoch_end(const struct splice_vm_epoch_call *call,
			       struct mm_struct *mm)
{
	struct splice_vm_session *sess = call->sess;
	unsigned int i;
	int ret;

	/* Without memory the log is coarser, no less right. */
	splice_vm_reserve(sess, mm);
	splice_vm_dirty_log_move(&sess->dirty_log, &sess->pending, call->start,
				 call->end);
	for (i = 0; i < call->nr; i++) {
		unsigned long addr = call->runs[i].addr;

		splice_vm_dirty_log_written(&sess->dirty_log, addr, addr +
			((unsigned long)call->runs[i].nr_pages << PAGE_SHIFT));
	}
	ret = splice_vm_epoch_held(call, mm);
	if (ret)
		splice_vm_dirty_log_recheck(&sess->dirty_log, call->start, call->end);
	return ret;
}

static int splice_vm_epoch_locked(const struct splice_vm_epoch_call *call,
				  bool more)
{
	struct splice_vm_session *sess = call->sess;
	u64 begun = ktime_get_ns();
	struct mm_struct *mm;
	int ret;

	lockdep_assert_held(&sess->lock);
	if (!sess->tracker)
		return -ENOTCONN;
	if (sess->tracker != &splice_vm_tracker_events)
		return -EOPNOTSUPP;
	mm = splice_vm_target_get(sess);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	ret = splice_vm_epoch_end(call, mm);
	splice_vm_target_put(mm);
	if (ret || more)
		return ret;
	atomic64_inc(&sess->epochs);
	wake_up_all(&sess->wait);
	splice_vm_stats_epoch(sess, begun);
	return 0;
}

static int splice_vm_epoch_do(const struct splice_vm_epoch_call *call, bool more)
{
	int ret;

	if (mutex_lock_killable(&call->sess->lock))
		return -EINTR;
	ret = splice_vm_epoch_locked(call, more);
	mutex_unlock(&call->sess->lock);
	return ret;
}

static int splice_vm_epoch_check(const struct splice_vm_epoch *arg)
{
	if (arg->reserved || arg->nr_runs > SPLICE_VM_EPOCH_RUNS ||
	    !PAGE_ALIGNED(arg->start) || arg->start > arg->end)
		return -EINVAL;
	if (arg->end < TASK_SIZE_MAX && !PAGE_ALIGNED(arg->end))
		return -EINVAL;
	return 0;
}

/**
 * splice_vm_epoch() - SPLICE_VM_EPOCH
 * @sess: the session
 * @arg: struct splice_vm_epoch, a kernel copy
 *
 * The runs are copied in before the session's lock is taken: the caller's memory may make
 * the copy wait for as long as it likes.
 */
long splice_vm_epoch(struct splice_vm_session *sess, void *arg)
{
	struct splice_vm_epoch *epoch = arg;
	struct splice_vm_epoch_call call = { .sess = sess };
	int ret = splice_vm_epoch_check(epoch);

	if (ret)
		return ret;
	/* Pairs with the release in splice_vm_target_bind(). */
	if (!smp_load_acquire(&sess->mm))
		return -ENOTCONN;
	call.end = min_t(u64, epoch->end, TASK_SIZE_MAX);
	call.start = min_t(u64, epoch->start, call.end);
	call.nr = epoch->nr_runs;
	if (call.nr) {
		call.runs = vmemdup_user((void __user *)epoch->runs,
					 call.nr * sizeof(*call.runs));
		if (IS_ERR(call.runs))
			return PTR_ERR(call.runs);
	}
	ret = splice_vm_epoch_check_runs(&call);
	if (!ret)
		ret = splice_vm_epoch_do(&call, epoch->flags &
						SPLICE_VM_EPOCH_MORE);
	kvfree(call.runs);
	return ret;
}

/* All that is mapped now was never asked for. */
static int splice_vm_epoch_begin(struct splice_vm_session *sess,
				 struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for_each_vma(vmi, vma)
		splice_vm_dirty_log_recheck(&sess->dirty_log, vma->vm_start, vma->vm_end);
	mmap_read_unlock(mm);
	return 0;
}

const struct splice_vm_tracker splice_vm_tracker_events = {
	.id = SPLICE_VM_TRACKER_EVENTS,
	.begin = splice_vm_epoch_begin,
};
