/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_SESSION_H
#define SPLICE_VM_SESSION_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/wait.h>

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
 * The write-protect tracker calls ioctls of its userfaultfd and of /proc/PID/pagemap with
 * splice_vm_session.lock held: they take the target's mmap_lock themselves, and the caller's
 * when they fault its memory in. The two may be one: so never with an mmap_lock held.
 *
 * The MMU notifier's callbacks run below the target's mmap_lock or reclaim's
 * locks, and may run while this very session allocates memory. They take page table
 * locks, splice_vm_record.lock and nothing else, and allocate nothing: so they cannot sleep
 * in, or deadlock with, whatever calls them.
 *
 * The pipe's mutex is held by the caller of splice_read: nothing on that path
 * faults a page in. Socket locks are taken with no lock of ours held.
 *
 * Lifetimes:
 *
 * - A session lives from open to the last close of its file. Every call on it
 *   holds that file, so the session outlives all calls.
 * - session->mm is set once, by ATTACH, with a reference on the struct (mmgrab)
 *   that is dropped at release. The struct stays, its memory may go: each use
 *   of the memory is between splice_vm_target_get() and splice_vm_target_put().
 * - The notifier is registered by ATTACH and unregistered at release, which waits for
 *   callbacks that run. Its release callback, when the target exits or calls
 *   exec, only sets ->gone.
 * - session->pagemap is opened by ATTACH and session->uffd by TRACK; release puts both. The
 *   last put of the userfaultfd lifts the protection of all pages.
 * - Pages: whoever took a reference puts it; pipes and sockets take their own.
 */

/**
 * struct splice_vm_vmas - what was mapped when an epoch ended
 * @ranges: in order of addresses, neighbours merged
 * @nr: ranges in use
 * @cap: ranges that fit
 * @valid: false when they did not all fit: everything counts as new
 */
struct splice_vm_vmas {
	struct splice_vm_range *ranges;
	unsigned int nr;
	unsigned int cap;
	bool valid;
};

/**
 * struct splice_vm_session - one open of the device
 * @lock: serialises ATTACH, TRACK and SCAN TRACKED
 * @mm: the target; NULL before ATTACH, then constant
 * @may_track: mem_fd was open for writing; constant after ATTACH
 * @ptrace_capable: whoever opened mem_fd had CAP_SYS_PTRACE in the initial user
 *	namespace; constant after ATTACH
 * @max_inflight: cap in pages; constant after ATTACH
 * @tracker: SPLICE_VM_TRACKER_*; set by TRACK under @lock, read by callbacks
 * @pagemap: /proc/PID/pagemap of @mm, or NULL; constant after ATTACH
 * @uffd: the write-protect tracker's userfaultfd, or NULL; under @lock
 * @notifier: registered while @mm is set
 * @gone: the target's memory is being torn down; only ever set
 * @wait: woken when an epoch ends and when the target is gone
 * @epochs: ends of epochs since TRACK; written under the target's mmap_lock
 * @epochs_seen: value of @epochs at the last SCAN TRACKED
 * @record: what was written and dropped
 * @held: pages on which others held references when an epoch began: what they write
 *	belongs to it
 * @vmas: [0] of the last epoch, [1] spare; under the target's mmap_lock, which the
 *	snapshot holds for writing and SCAN for reading together with @lock
 * @fresh: no epoch of the soft-dirty tracker has ended yet; like @vmas
 * @pages_sent: by reference, since open
 * @pages_copied: by copy, since open
 * @inflight: pages that calls hold references on right now
 */
struct splice_vm_session {
	struct mutex lock; /* ATTACH, TRACK, SCAN TRACKED */
	struct mm_struct *mm;
	bool may_track;
	bool ptrace_capable;
	unsigned int max_inflight;
	unsigned int tracker;
	struct file *pagemap;
	struct file *uffd;
#ifdef CONFIG_MMU_NOTIFIER
	struct mmu_notifier notifier;
#endif
	bool gone;
	wait_queue_head_t wait;
	atomic64_t epochs;
	atomic64_t epochs_seen;
	struct splice_vm_record record;
	struct splice_vm_record held;
	struct splice_vm_vmas vmas[2];
	bool fresh;
	atomic64_t pages_sent;
	atomic64_t pages_copied;
	atomic64_t inflight;
};

extern const struct file_operations splice_vm_session_fops;

#endif
