// SPDX-License-Identifier: GPL-2.0
/*
 * TRACK, and the MMU notifier that both trackers need: unmaps and the like are logged with
 * their ranges, at start and end, and looked at when SCAN asks. The pages that were written are
 * found by snapshot.c (soft-dirty), or by the caller, who tells epoch.c (events).
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/splice_vm.h>

#include "held.h"
#include "mapped.h"
#include "observe.h"
#include "snapshot.h"
#include "target.h"
#include "track.h"
#include "uffd.h"

u64 splice_vm_trackers(void)
{
	u64 trackers = BIT_ULL(SPLICE_VM_TRACKER_EVENTS);

	if (IS_ENABLED(CONFIG_MEM_SOFT_DIRTY))
		trackers |= BIT_ULL(SPLICE_VM_TRACKER_SOFT_DIRTY);
	return trackers;
}

static bool splice_vm_event_drops(const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_UNMAP ||
	       range->event == MMU_NOTIFY_CLEAR ||
	       range->event == MMU_NOTIFY_MIGRATE;
}

static void splice_vm_log_event(struct splice_vm_session *sess,
				const struct mmu_notifier_range *range)
{
	unsigned long start = range->start & PAGE_MASK;
	unsigned long end = PAGE_ALIGN(min(range->end, TASK_SIZE_MAX));

	splice_vm_record_log(&sess->record, start, end);
	/* With the other tracker a mapping that moves is registered anew, and counts as new. */
	if (range->event == MMU_NOTIFY_UNMAP &&
	    sess->tracker == SPLICE_VM_TRACKER_SOFT_DIRTY)
		splice_vm_record_unmap(&sess->record, start, end);
}

static bool splice_vm_event_protects(const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_PROTECTION_VMA ||
	       range->event == MMU_NOTIFY_PROTECTION_PAGE;
}

/* What only the soft-dirty tracker goes by. */
static void splice_vm_snapshot_event(struct splice_vm_session *sess,
				     const struct mmu_notifier_range *range)
{
	if (range->event == MMU_NOTIFY_SOFT_DIRTY)
		splice_vm_snapshot_take(sess, range->mm);
	else if (splice_vm_event_protects(range))
		splice_vm_snapshot_exposed(sess, range);
}

static struct splice_vm_session *
splice_vm_notifier_session(struct mmu_notifier *notifier, unsigned int *tracker)
{
	struct splice_vm_session *sess;

	sess = container_of(notifier, struct splice_vm_session, notifier);
	/* Pairs with the release in splice_vm_track_start(). */
	*tracker = smp_load_acquire(&sess->tracker);
	return sess;
}

static int splice_vm_range_start(struct mmu_notifier *notifier,
				 const struct mmu_notifier_range *range)
{
	struct splice_vm_session *sess;
	unsigned int tracker;

	sess = splice_vm_notifier_session(notifier, &tracker);
	if (tracker == SPLICE_VM_TRACKER_NONE)
		return 0;
	if (splice_vm_event_drops(range)) {
		splice_vm_log_event(sess, range);
		splice_vm_observe_drop(sess, range->start, range->end,
				       range->event);
	} else if (tracker == SPLICE_VM_TRACKER_SOFT_DIRTY) {
		splice_vm_snapshot_event(sess, range);
	}
	return 0;
}

/* Again at the end: a SCAN in between saw the pages still there. */
static void splice_vm_range_end(struct mmu_notifier *notifier,
				const struct mmu_notifier_range *range)
{
	struct splice_vm_session *sess;
	unsigned int tracker;

	sess = splice_vm_notifier_session(notifier, &tracker);
	if (tracker == SPLICE_VM_TRACKER_NONE)
		return;
	if (splice_vm_event_drops(range))
		splice_vm_log_event(sess, range);
	else if (tracker == SPLICE_VM_TRACKER_SOFT_DIRTY &&
		 range->event == MMU_NOTIFY_SOFT_DIRTY)
		splice_vm_held_collect_all(sess, range->mm);
}

/* The target exits, calls exec, or the session is being closed. */
static void splice_vm_mm_release(struct mmu_notifier *notifier,
				 struct mm_struct *mm)
{
	struct splice_vm_session *sess;

	sess = container_of(notifier, struct splice_vm_session, notifier);
	WRITE_ONCE(sess->gone, true);
	wake_up_all(&sess->wait);
	splice_vm_observe_gone(sess, mm);
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

/* 640 KiB of them. */
#define SPLICE_VM_TRACK_RANGES	16384UL

/*
 * How many ranges that are dropped in an epoch are kept apart. Each table may lose a page, and an
 * unmapping beside it is announced as a change of 2 MiB; memory that has no tables may be
 * unmapped; and every second page of a small heap may be.
 */
static unsigned int splice_vm_track_ranges(struct mm_struct *mm,
					   unsigned long tables)
{
	return max(2 * tables + READ_ONCE(mm->map_count),
		   min(SPLICE_VM_TRACK_RANGES,
		       tables * SPLICE_VM_CHUNK_PAGES / 4));
}

/**
 * splice_vm_track_prepare() - have memory ready for what is recorded next
 * @sess: the session, its lock is held
 * @mm: its mm; the caller holds a user of it
 *
 * Sleeps. Return: 0; -ENOMEM or -EINTR, after which tracking is right all the
 * same, only coarser
 */
int splice_vm_track_prepare(struct splice_vm_session *sess,
			    struct mm_struct *mm)
{
	unsigned long tables = mm_pgtables_bytes(mm) >> PAGE_SHIFT;
	unsigned int ranges = splice_vm_track_ranges(mm, tables);
	int ret;

	lockdep_assert_held(&sess->lock);
	ret = splice_vm_vmas_prepare(sess, mm);
	if (ret)
		return ret;
	tables += tables / 8 + 64;
	ret = splice_vm_record_reserve(&sess->record, tables, ranges);
	if (ret)
		return ret;
	/* A network card may hold pages all over memory for long after they were sent. */
	return splice_vm_record_reserve(&sess->pending, tables,
					READ_ONCE(mm->map_count));
}

static void splice_vm_track_put_uffd(struct splice_vm_session *sess)
{
	if (sess->uffd)
		fput(sess->uffd);
	sess->uffd = NULL;
}

/* Callbacks may still run, and add to a record that nobody asks for. */
static void splice_vm_track_stop(struct splice_vm_session *sess)
{
	lockdep_assert_held(&sess->lock);
	WRITE_ONCE(sess->tracker, SPLICE_VM_TRACKER_NONE);
	splice_vm_track_put_uffd(sess);
}

/* No callback may run any more. */
void splice_vm_track_free(struct splice_vm_session *sess)
{
	splice_vm_track_put_uffd(sess);
	splice_vm_vmas_free(sess);
}

static int splice_vm_track_start_on(struct splice_vm_session *sess,
				    struct mm_struct *mm, u32 tracker)
{
	int ret = splice_vm_track_prepare(sess, mm);

	if (ret)
		return ret;
	/*
	 * First, so that no drop between the two is missed. Pairs with the
	 * acquire in the callbacks.
	 */
	smp_store_release(&sess->tracker, tracker);
	ret = splice_vm_snapshot_begin(sess, mm);
	if (ret)
		splice_vm_track_stop(sess);
	return ret;
}

/* Takes over the reference on @uffd, or NULL, when it succeeds. */
static int splice_vm_track_start(struct splice_vm_session *sess, u32 tracker,
				 struct file *uffd)
{
	struct mm_struct *mm;
	int ret;

	lockdep_assert_held(&sess->lock);
	if (sess->tracker == SPLICE_VM_TRACKER_EVENTS &&
	    tracker == SPLICE_VM_TRACKER_EVENTS) {
		splice_vm_track_put_uffd(sess);
		sess->uffd = uffd;
		return 0;
	}
	if (sess->tracker != SPLICE_VM_TRACKER_NONE)
		return -EBUSY;
	mm = splice_vm_target_get(sess);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	ret = splice_vm_track_start_on(sess, mm, tracker);
	splice_vm_target_put(mm);
	if (!ret)
		sess->uffd = uffd;
	return ret;
}

static int splice_vm_track_locked(struct splice_vm_session *sess, u32 tracker,
				  struct file *uffd)
{
	int ret = 0;

	if (mutex_lock_killable(&sess->lock))
		return -EINTR;
	if (tracker == SPLICE_VM_TRACKER_NONE)
		splice_vm_track_stop(sess);
	else
		ret = splice_vm_track_start(sess, tracker, uffd);
	mutex_unlock(&sess->lock);
	return ret;
}

/* Return: the file of uffd_fd, or NULL where there is none, or ERR_PTR */
static struct file *splice_vm_track_uffd(const struct splice_vm_track *track)
{
	struct file *file;

	if (track->tracker != SPLICE_VM_TRACKER_EVENTS)
		return track->uffd_fd ? ERR_PTR(-EINVAL) : NULL;
	if (track->uffd_fd == -1)
		return NULL;
	file = fget(track->uffd_fd);
	if (!file)
		return ERR_PTR(-EBADF);
	if (splice_vm_file_is_uffd(file))
		return file;
	fput(file);
	return ERR_PTR(-EINVAL);
}

/**
 * splice_vm_track() - SPLICE_VM_TRACK
 * @sess: the session
 * @arg: struct splice_vm_track, a kernel copy
 */
long splice_vm_track(struct splice_vm_session *sess, void *arg)
{
	struct splice_vm_track *track = arg;
	struct file *uffd;
	int ret;

	/* Pairs with the release in splice_vm_target_bind(). */
	if (!smp_load_acquire(&sess->mm))
		return -ENOTCONN;
	if (!sess->may_track)
		return -EACCES;
	if (track->tracker == SPLICE_VM_TRACKER_AUTO)
		track->tracker = SPLICE_VM_TRACKER_SOFT_DIRTY;
	if (track->tracker != SPLICE_VM_TRACKER_NONE &&
	    (track->tracker >= 64 ||
	     !(splice_vm_trackers() & BIT_ULL(track->tracker))))
		return -EOPNOTSUPP;

	uffd = splice_vm_track_uffd(track);
	if (IS_ERR(uffd))
		return PTR_ERR(uffd);
	ret = splice_vm_track_locked(sess, track->tracker, uffd);
	if (ret && uffd)
		fput(uffd);
	return ret;
}
