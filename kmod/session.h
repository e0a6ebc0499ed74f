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

#include "event.h"
#include "mapped.h"
#include "record.h"

/**
 * DOC: locks and lifetimes
 *
 * Locks, outermost first::
 *
 *	splice_vm_session.lock	mutex, taken killable
 *	mm->mmap_lock		of the target
 *	page table locks	of the target
 *	splice_vm_record.lock	spinlock, innermost
 *
 * Apart from these, splice_vm_users_lock and in it splice_vm_user.lock, mutexes: taken with no
 * lock of ours held, in open, in release, in SEND between batches, and by a work item. Under them
 * nothing waits for a target or a socket.
 *
 * And splice_vm_registry_lock, mutex. Taken with no lock of ours held, in
 * open, in release, and in a dump below netlink's locks; under it nothing is
 * taken, and nothing that waits for memory or for a target is done.
 *
 * The MMU notifier's callbacks run below the target's mmap_lock or reclaim's
 * locks, and may run while this very session allocates memory. They take page table
 * locks, splice_vm_record.lock and nothing else, and allocate nothing: so they cannot sleep
 * in, or deadlock with, whatever calls them. What is to be told over netlink they leave to
 * a work item, which takes none of our locks.
 *
 * The pipe's mutex is held by the caller of splice_read: nothing on that path
 * faults a page in. Socket locks are taken with no lock of ours held.
 *
 * Lifetimes:
 *
 * - A session lives from open to the last close of its file. Every call on it
 *   holds that file, so the session outlives all calls. A dump holds the registry's
 *   lock instead: release takes the session off the registry before all else.
 * - Its work item is queued by the notifier's callbacks and by ATTACH, which holds the file;
 *   release cancels it, and waits for it, when the notifier is unregistered.
 * - session->mm is set once, by ATTACH, with a reference on the struct (mmgrab) that is
 *   dropped at release. ->pid is set before it, for good, and means the number
 *   even when the process has been reaped. The struct stays, its memory may go: each use
 *   of the memory is between splice_vm_target_get() and splice_vm_target_put().
 * - The notifier is registered by ATTACH and unregistered at release, which waits for
 *   callbacks that run. Its release callback, when the target exits or calls
 *   exec, only sets ->gone.
 * - session->uffd is a reference on a file of the caller, from TRACK until the tracker is
 *   stopped, so that the context in it, which is compared with those of mappings, is no other's.
 * - What is known of the pages at a socket outlives the session: see struct splice_vm_flight.
 * - Pages: whoever took a reference puts it; pipes and sockets take their own.
 */

struct splice_vm_user;

/**
 * struct splice_vm_session - one open of the device
 * @node: in the registry
 * @id: number of the session; constant
 * @opener: process that opened it; constant
 * @opener_uid: its user; constant
 * @lock: serialises ATTACH, TRACK and SCAN TRACKED
 * @mm: the target; NULL before ATTACH, then constant
 * @pid: process of @mm, NULL when not known; constant after ATTACH
 * @may_track: mem_fd was open for writing; constant after ATTACH
 * @ptrace_capable: whoever opened mem_fd had CAP_SYS_PTRACE in the initial user
 *	namespace; constant after ATTACH
 * @max_inflight: cap in pages; constant after ATTACH
 * @user: of @opener_uid: whose limit its pages count against; constant
 * @queued: pages that it left at sockets, in whole folios, with what its calls reserved;
 *	under the user's lock
 * @tracker: SPLICE_VM_TRACKER_*; set by TRACK under @lock, read by callbacks
 * @uffd: the userfaultfd that covers what the caller of the events tracker follows, or NULL;
 *	under @lock
 * @notifier: registered while @mm is set
 * @gone: the target's memory is being torn down; only ever set
 * @wait: woken when an epoch ends and when the target is gone
 * @epochs: ends of epochs since TRACK; written under the target's mmap_lock
 * @epochs_seen: value of @epochs at the last SCAN TRACKED
 * @record: what was written and dropped
 * @pending: pages of the epoch under way, for @record when it ends and not before, since a
 *	SCAN may come in between: those on which others held references when it began, and
 *	those that lost the right to write, and with it what tells of writes
 * @vmas: [0] of the last epoch, [1] spare; under the target's mmap_lock, which the
 *	snapshot holds for writing and SCAN for reading together with @lock
 * @fresh: no epoch of the soft-dirty tracker has ended yet; like @vmas
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
	unsigned int tracker;
	struct file *uffd;
#ifdef CONFIG_MMU_NOTIFIER
	struct mmu_notifier notifier;
#endif
	bool gone;
	wait_queue_head_t wait;
	atomic64_t epochs;
	atomic64_t epochs_seen;
	struct splice_vm_record record;
	struct splice_vm_record pending;
	struct splice_vm_vmas vmas[2];
	bool fresh;
	atomic64_t pages_sent;
	atomic64_t pages_copied;
	atomic64_t pages_dirty;
	atomic64_t pages_dropped;
	atomic64_t bytes_sent;
	atomic64_t bytes_copied;
	atomic64_t inflight;
	struct splice_vm_events events;
};

extern const struct file_operations splice_vm_session_fops;

#endif
