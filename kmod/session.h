/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SESSION_H
#define SPLICE_VM_SESSION_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/splice_vm.h>

#include "vma_snapshot.h"
#include "dirty_log.h"

/**
 * DOC: locks and lifetimes
 *
 * Locks, outermost first::
 *
 *	splice_vm_session.lock		mutex, taken killable
 *	mm->mmap_lock			of the target
 *	page table locks		of the target
 *	splice_vm_dirty_log.lock	spinlock, innermost
 *
 * Apart from these, splice_vm_users_lock and in it splice_vm_user.lock, mutexes: taken with no
 * other lock of the module held, in open, in release, in SEND between batches, and by a work item.
 * Their holder never waits for a target or a socket.
 *
 * And splice_vm_sessions_lock, mutex. Taken with no other lock of the module held, in
 * open, in release, and in a dump below netlink's locks. Its holder takes no other lock, and never
 * waits for memory or for a target.
 *
 * The MMU notifier's callbacks run below the target's mmap_lock or reclaim's
 * locks, and may run while this very session allocates memory. They take page table
 * locks, splice_vm_dirty_log.lock and nothing else, and allocate nothing: so they cannot sleep
 * in, or deadlock with, their callers. Events for netlink are left to
 * a work item, which takes no lock of the module.
 *
 * The pipe's mutex is held by the caller of splice_read: nothing on that path
 * faults a page in. Socket locks are taken with no lock of the module held.
 *
 * Lifetimes:
 *
 * - A session lives from open to the last close of its file. Every call on it
 *   holds that file, so the session outlives all calls. A dump holds the list's
 *   lock instead: release takes the session off the list before all else.
 * - Its work item is queued by the notifier's callbacks and by ATTACH, which holds the file;
 *   release cancels it, and waits for it, when the notifier is unregistered.
 * - session->mm is set once, by ATTACH, with a reference on the struct (mmgrab) that is
 *   dropped at release. ->pid is set before it, for good, and means the number
 *   even when the process has been reaped. The struct stays, its memory may go: each use
 *   of the memory is between splice_vm_target_get() and splice_vm_target_put().
 * - The notifier is registered by ATTACH and unregistered at release, which waits for
 *   callbacks that run. Its release callback, when the target exits or calls
 *   exec, only sets ->gone.
 * - session->uffd is a reference on a file of the caller, from TRACK until the tracker stops. The
 *   address of the userfaultfd's context is compared with those of mappings: the reference keeps
 *   another context from getting that address.
 * - The account of pages at a socket outlives the session: see struct splice_vm_flight.
 * - A page reference is put by the function that took it; pipes and sockets take their own.
 */

struct splice_vm_session;
struct splice_vm_user;

/**
 * struct splice_vm_tracker - one way to find the pages that were written
 * @id: SPLICE_VM_TRACKER_*
 * @begin: at TRACK: log the pages that the first SCAN reports. Callbacks run already; the
 *	session's lock is held; the caller holds a user of the mm. Return: 0 or -errno
 * @range_start: a callback of the notifier, with its rules, or NULL. Drops are logged already
 * @range_end: the same
 */
struct splice_vm_tracker {
	u32 id;
	int (*begin)(struct splice_vm_session *sess, struct mm_struct *mm);
	void (*range_start)(struct splice_vm_session *sess,
			    const struct mmu_notifier_range *range);
	void (*range_end)(struct splice_vm_session *sess,
			  const struct mmu_notifier_range *range);
};

/**
 * struct splice_vm_events - which events of a session went to the multicast group
 * @work: sends the events that were not sent yet; no one else writes the fields below, but @gone
 * @last: jiffies when @work ran last
 * @announced: the event of ATTACH was sent
 * @epochs: number of epochs in the last event
 * @gone: the target is gone; only ever set. Unlike the session's own flag not when the
 *	notifier is unregistered from a living one
 * @gone_told: the event of that was sent
 */
struct splice_vm_events {
	struct delayed_work work;
	unsigned long last;
	bool announced;
	u64 epochs;
	bool gone;
	bool gone_told;
};

/**
 * struct splice_vm_session - one open of the device
 * @node: in the list of all sessions
 * @id: number of the session; constant
 * @opener: process that opened it; constant
 * @opener_uid: its user; constant
 * @lock: serialises ATTACH, TRACK and SCAN TRACKED
 * @mm: the target; NULL before ATTACH, then constant
 * @pid: process of @mm, NULL when not known; constant after ATTACH
 * @may_track: mem_fd was open for writing; constant after ATTACH
 * @ptrace_capable: the opener of mem_fd had CAP_SYS_PTRACE in the initial user
 *	namespace; constant after ATTACH
 * @max_inflight: cap in pages; constant after ATTACH
 * @user: of @opener_uid: whose limit its pages count against; constant
 * @queued: pages that it left at sockets, in whole folios, with what its calls reserved;
 *	under the user's lock
 * @tracker: or NULL; set by TRACK under @lock, read by callbacks
 * @uffd: the userfaultfd that covers what the caller of the events tracker follows, or NULL;
 *	under @lock
 * @notifier: registered while @mm is set
 * @gone: the target's memory is being torn down; only ever set
 * @wait: woken when an epoch ends and when the target is gone
 * @epochs: ends of epochs since TRACK
 * @epochs_seen: value of @epochs at the last SCAN TRACKED
 * @dirty_log: pages that were written or dropped
 * @pending: pages that go into @dirty_log when the epoch under way ends, and not before, since a
 *	SCAN may come in between: pages that had extra references when the epoch began, and
 *	pages whose PTEs were writable with the soft-dirty bit clear until the kernel
 *	write-protected them
 * @vma_snapshot: the mappings when the last epoch ended
 * @pages_sent: by reference, since open
 * @pages_copied: by copy, since open
 * @pages_dirty: that SCAN reported, since open
 * @pages_dropped: that SCAN reported, since open
 * @bytes_sent: by reference, heads of batches included, since open
 * @bytes_copied: by copy, since open
 * @inflight: pages that calls hold references on right now
 * @events: what was told over netlink
 */
struct splice_vm_session {
	struct list_head node;
	u64 id;
	struct pid *opener;
	kuid_t opener_uid;
	struct mutex lock; /* ATTACH, TRACK, SCAN TRACKED */
	struct mm_struct *mm;
	struct pid *pid;
	bool may_track;
	bool ptrace_capable;
	unsigned int max_inflight;
	struct splice_vm_user *user;
	unsigned long queued;
	const struct splice_vm_tracker *tracker;
	struct file *uffd;
#ifdef CONFIG_MMU_NOTIFIER
	struct mmu_notifier notifier;
#endif
	bool gone;
	wait_queue_head_t wait;
	atomic64_t epochs;
	atomic64_t epochs_seen;
	struct splice_vm_dirty_log dirty_log;
	struct splice_vm_dirty_log pending;
	struct splice_vm_vma_snapshot vma_snapshot;
	atomic64_t pages_sent;
	atomic64_t pages_copied;
	atomic64_t pages_dirty;
	atomic64_t pages_dropped;
	atomic64_t bytes_sent;
	atomic64_t bytes_copied;
	atomic64_t inflight;
	struct splice_vm_events events;
};

/* SPLICE_VM_TRACKER_* in use. */
static inline u32 splice_vm_session_tracker(const struct splice_vm_session *sess)
{
	const struct splice_vm_tracker *tracker = READ_ONCE(sess->tracker);

	return tracker ? tracker->id : SPLICE_VM_TRACKER_NONE;
}

struct splice_vm_session *splice_vm_session_alloc(void);
void splice_vm_session_free(struct splice_vm_session *sess);
void splice_vm_session_list(struct splice_vm_session *sess);
void splice_vm_session_unlist(struct splice_vm_session *sess);

/* Return: 0 to go on; anything else ends the walk */
typedef int (*splice_vm_session_fn)(struct splice_vm_session *sess, void *arg);

int splice_vm_sessions_walk(u64 *next, splice_vm_session_fn fn, void *arg);

struct mm_struct *splice_vm_target_get(struct splice_vm_session *sess);
void splice_vm_target_put(struct mm_struct *mm);

#endif
