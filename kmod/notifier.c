// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU notifier of a session, which all trackers need: unmaps and the like are logged with
 * their ranges, at start and end, and looked at when SCAN asks.
 */
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>

#include "notifier.h"
#include "stats.h"

static bool splice_vm_event_drops(const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_UNMAP ||
	       range->event == MMU_NOTIFY_CLEAR ||
	       range->event == MMU_NOTIFY_MIGRATE;
}

static void splice_vm_log_event(struct splice_vm_session *sess,
				const struct mmu_notifier_range *range)
{
	splice_vm_dirty_log_recheck(&sess->dirty_log, range->start & PAGE_MASK,
				    PAGE_ALIGN(min(range->end, TASK_SIZE_MAX)));
}

static struct splice_vm_session *
splice_vm_notifier_session(struct mmu_notifier *notifier,
			   const struct splice_vm_tracker **tracker)
{
	struct splice_vm_session *sess;

	sess = container_of(notifier, struct splice_vm_session, notifier);
	/* Pairs with the release in splice_vm_track_start_on(). */
	*tracker = smp_load_acquire(&sess->tracker);
	return sess;
}

static int splice_vm_range_start(struct mmu_notifier *notifier,
				 const struct mmu_notifier_range *range)
{
	const struct splice_vm_tracker *tracker;
	struct splice_vm_session *sess;

	sess = splice_vm_notifier_session(notifier, &tracker);
	if (!tracker)
		return 0;
	if (splice_vm_event_drops(range)) {
		splice_vm_log_event(sess, range);
		splice_vm_stats_drop(sess, range->start, range->end,
				     range->event);
	}
	if (tracker->range_start)
		tracker->range_start(sess, range);
	return 0;
}

/* Again at the end: a SCAN in between saw the pages still there. */
static void splice_vm_range_end(struct mmu_notifier *notifier,
				const struct mmu_notifier_range *range)
{
	const struct splice_vm_tracker *tracker;
	struct splice_vm_session *sess;

	sess = splice_vm_notifier_session(notifier, &tracker);
	if (!tracker)
		return;
	if (splice_vm_event_drops(range))
		splice_vm_log_event(sess, range);
	if (tracker->range_end)
		tracker->range_end(sess, range);
}

/* The target exits, calls exec, or the session is being closed. */
static void splice_vm_mm_release(struct mmu_notifier *notifier,
				 struct mm_struct *mm)
{
	struct splice_vm_session *sess;

	sess = container_of(notifier, struct splice_vm_session, notifier);
	WRITE_ONCE(sess->gone, true);
	wake_up_all(&sess->wait);
	splice_vm_stats_gone(sess, mm);
}

static const struct mmu_notifier_ops splice_vm_notifier_ops = {
	.release = splice_vm_mm_release,
	.invalidate_range_start = splice_vm_range_start,
	.invalidate_range_end = splice_vm_range_end,
};

/**
 * splice_vm_notifier_register() - learn of drops, epochs and the end of an mm
 * @sess: the session
 * @mm: to watch; the caller holds a user of it
 *
 * Takes the mmap lock for writing, killable. Return: 0 or -errno; restarted when a
 * signal ends the taking of all VMA locks
 */
int splice_vm_notifier_register(struct splice_vm_session *sess,
				struct mm_struct *mm)
{
	int ret;

	sess->notifier.ops = &splice_vm_notifier_ops;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	ret = __mmu_notifier_register(&sess->notifier, mm);
	mmap_write_unlock(mm);
	if (ret == -EINTR && !fatal_signal_pending(current))
		return -ERESTARTNOINTR;
	return ret;
}

/* Waits for callbacks that run; none runs afterwards. */
void splice_vm_notifier_unregister(struct splice_vm_session *sess)
{
	mmu_notifier_unregister(&sess->notifier, sess->mm);
}
