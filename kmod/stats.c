// SPDX-License-Identifier: GPL-2.0
/*
 * Counters, tracepoints and netlink events of a session: other files call these functions where
 * the session does something worth seeing.
 */
#include <linux/ktime.h>

#include "event.h"
#include "stats.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/**
 * splice_vm_stats_attach() - ATTACH was done
 * @sess: the session
 * @ret: what it returned
 */
void splice_vm_stats_attach(struct splice_vm_session *sess, int ret)
{
	trace_splice_vm_attach(sess, ret);
	if (!ret)
		splice_vm_events_kick(sess);
}

/**
 * splice_vm_stats_epoch() - an epoch ended; it is counted already
 * @sess: the session
 * @begun: ktime_get_ns() when the tracker's work began
 *
 * Any context.
 */
void splice_vm_stats_epoch(struct splice_vm_session *sess, u64 begun)
{
	trace_splice_vm_epoch(sess, ktime_get_ns() - begun);
	splice_vm_events_kick(sess);
}

static u64 splice_vm_runs_pages(const struct splice_vm_run *runs,
				unsigned int nr, u32 flags)
{
	u64 pages = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (runs[i].flags & flags)
			pages += runs[i].nr_pages;
	}
	return pages;
}

/**
 * splice_vm_stats_scan() - SCAN was done
 * @sess: the session
 * @scan: its struct; the out fields hold when @ret is 0
 * @runs: what it reports
 * @nr: how many
 * @ret: what it returns
 */
void splice_vm_stats_scan(struct splice_vm_session *sess,
			  const struct splice_vm_scan *scan,
			  const struct splice_vm_run *runs, unsigned int nr,
			  int ret)
{
	u64 dirty, dropped;

	if (ret)
		nr = 0;
	dirty = splice_vm_runs_pages(runs, nr, SPLICE_VM_RUN_DIRTY);
	dropped = splice_vm_runs_pages(runs, nr, SPLICE_VM_RUN_DROPPED);
	atomic64_add(dirty, &sess->pages_dirty);
	atomic64_add(dropped, &sess->pages_dropped);
	trace_splice_vm_scan(sess, scan, nr, dirty, dropped, ret);
}

/**
 * splice_vm_stats_send() - SEND was done
 * @sess: the session
 * @send: its struct; the out fields hold
 * @ret: what it returns
 */
void splice_vm_stats_send(struct splice_vm_session *sess,
			  const struct splice_vm_send *send, int ret)
{
	trace_splice_vm_send(sess, send, ret);
}

/**
 * splice_vm_stats_drop() - pages are dropped or replaced
 * @sess: the session
 * @start: of the range, as the notifier was given it
 * @end: of the range
 * @why: MMU_NOTIFY_*
 *
 * Any context.
 */
void splice_vm_stats_drop(struct splice_vm_session *sess,
			  unsigned long start, unsigned long end,
			  enum mmu_notifier_event why)
{
	trace_splice_vm_drop(sess, start, end, why);
}

/**
 * splice_vm_stats_gone() - the notifier is released
 * @sess: the session
 * @mm: its mm. Still in use when the session is being closed, and then not gone
 *
 * Any context.
 */
void splice_vm_stats_gone(struct splice_vm_session *sess,
			  struct mm_struct *mm)
{
	if (atomic_read(&mm->mm_users))
		return;
	WRITE_ONCE(sess->events.gone, true);
	splice_vm_events_kick(sess);
}
