// SPDX-License-Identifier: GPL-2.0
/* TRACK: which tracker a session has. */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/splice_vm.h>

#include "epoch.h"
#include "reserve.h"
#include "soft_dirty.h"
#include "track.h"
#include "uffd.h"

static const struct splice_vm_tracker * const splice_vm_tracker_table[] = {
#ifdef CONFIG_MEM_SOFT_DIRTY
	&splice_vm_tracker_soft_dirty,
#endif
	&splice_vm_tracker_events,
};

static const struct splice_vm_tracker *splice_vm_tracker_find(u32 id)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(splice_vm_tracker_table); i++)
		if (splice_vm_tracker_table[i]->id == id)
			return splice_vm_tracker_table[i];
	return NULL;
}

u64 splice_vm_trackers(void)
{
	u64 trackers = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(splice_vm_tracker_table); i++)
		trackers |= BIT_ULL(splice_vm_tracker_table[i]->id);
	return trackers;
}

static void splice_vm_track_put_uffd(struct splice_vm_session *sess)
{
	if (sess->uffd)
		fput(sess->uffd);
	sess->uffd = NULL;
}

/* Callbacks may still run; they add to a log that no SCAN will take. */
static void splice_vm_track_stop(struct splice_vm_session *sess)
{
	lockdep_assert_held(&sess->lock);
	WRITE_ONCE(sess->tracker, NULL);
	splice_vm_track_put_uffd(sess);
}

/* No callback may run any more. */
void splice_vm_track_free(struct splice_vm_session *sess)
{
	splice_vm_track_put_uffd(sess);
	splice_vm_vma_snapshot_free(&sess->vma_snapshot);
}

static int splice_vm_track_start_on(struct splice_vm_session *sess,
				    struct mm_struct *mm,
				    const struct splice_vm_tracker *tracker)
{
	int ret = splice_vm_reserve(sess, mm);

	if (ret)
		return ret;
	/*
	 * First, so that no drop between the two is missed. Pairs with the
	 * acquire in the callbacks.
	 */
	smp_store_release(&sess->tracker, tracker);
	ret = tracker->begin(sess, mm);
	if (ret)
		splice_vm_track_stop(sess);
	return ret;
}

/* Takes over the reference on @uffd, or NULL, when it succeeds. */
static int splice_vm_track_start(struct splice_vm_session *sess,
				 const struct splice_vm_tracker *tracker,
				 struct file *uffd)
{
	struct mm_struct *mm;
	int ret;

	lockdep_assert_held(&sess->lock);
	if (sess->tracker == &splice_vm_tracker_events &&
	    tracker == &splice_vm_tracker_events) {
		splice_vm_track_put_uffd(sess);
		sess->uffd = uffd;
		return 0;
	}
	if (sess->tracker)
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

/* @tracker: or NULL, to stop */
static int splice_vm_track_locked(struct splice_vm_session *sess,
				  const struct splice_vm_tracker *tracker,
				  struct file *uffd)
{
	int ret = 0;

	if (mutex_lock_killable(&sess->lock))
		return -EINTR;
	if (!tracker)
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
	const struct splice_vm_tracker *tracker;
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
	tracker = splice_vm_tracker_find(track->tracker);
	if (!tracker && track->tracker != SPLICE_VM_TRACKER_NONE)
		return -EOPNOTSUPP;

	uffd = splice_vm_track_uffd(track);
	if (IS_ERR(uffd))
		return PTR_ERR(uffd);
	ret = splice_vm_track_locked(sess, tracker, uffd);
	if (ret && uffd)
		fput(uffd);
	return ret;
}
