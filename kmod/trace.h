/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints; Documentation/tracepoints.rst has the fields. @session is the id
 * that netlink has too, @pid the target as the initial PID namespace numbers it.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM splice_vm

#if !defined(SPLICE_VM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SPLICE_VM_TRACE_H

#include <linux/mmu_notifier.h>
#include <linux/pid.h>
#include <linux/splice_vm.h>
#include <linux/tracepoint.h>

#include "session.h"

TRACE_DEFINE_ENUM(MMU_NOTIFY_UNMAP);
TRACE_DEFINE_ENUM(MMU_NOTIFY_CLEAR);
TRACE_DEFINE_ENUM(MMU_NOTIFY_MIGRATE);

/* ATTACH returns. */
TRACE_EVENT(splice_vm_attach,
	TP_PROTO(const struct splice_vm_session *sess, int ret),

	TP_ARGS(sess, ret),

	TP_STRUCT__entry(
		__field(u64, session)
		__field(pid_t, pid)
		__field(unsigned int, max_inflight)
		__field(int, ret)
	),

	TP_fast_assign(
		__entry->session = sess->id;
		__entry->pid = pid_nr(sess->pid);
		__entry->max_inflight = sess->max_inflight;
		__entry->ret = ret;
	),

	TP_printk("session=%llu pid=%d max_inflight=%u ret=%d",
		  __entry->session, __entry->pid, __entry->max_inflight,
		  __entry->ret)
);

/* An epoch ended; the tracker took @ns, with the target's faults waiting. */
TRACE_EVENT(splice_vm_epoch,
	TP_PROTO(const struct splice_vm_session *sess, u64 ns),

	TP_ARGS(sess, ns),

	TP_STRUCT__entry(
		__field(u64, session)
		__field(pid_t, pid)
		__field(u64, epoch)
		__field(u64, ns)
	),

	TP_fast_assign(
		__entry->session = sess->id;
		__entry->pid = pid_nr(sess->pid);
		__entry->epoch = atomic64_read(&sess->epochs);
		__entry->ns = ns;
	),

	TP_printk("session=%llu pid=%d epoch=%llu ns=%llu", __entry->session,
		  __entry->pid, __entry->epoch, __entry->ns)
);

/* SCAN returns. */
TRACE_EVENT(splice_vm_scan,
	TP_PROTO(const struct splice_vm_session *sess,
		 const struct splice_vm_scan *scan, unsigned int runs,
		 u64 dirty, u64 dropped, int ret),

	TP_ARGS(sess, scan, runs, dirty, dropped, ret),

	TP_STRUCT__entry(
		__field(u64, session)
		__field(pid_t, pid)
		__field(u32, flags)
		__field(u64, next)
		__field(u64, epoch)
		__field(unsigned int, runs)
		__field(u64, dirty)
		__field(u64, dropped)
		__field(int, ret)
	),

	TP_fast_assign(
		__entry->session = sess->id;
		__entry->pid = pid_nr(sess->pid);
		__entry->flags = scan->flags;
		__entry->next = scan->start;
		__entry->epoch = scan->epoch;
		__entry->runs = runs;
		__entry->dirty = dirty;
		__entry->dropped = dropped;
		__entry->ret = ret;
	),

	TP_printk("session=%llu pid=%d flags=%s next=%#llx epoch=%llu runs=%u dirty=%llu dropped=%llu ret=%d",
		  __entry->session, __entry->pid,
		  __print_flags(__entry->flags, "|",
				{ SPLICE_VM_SCAN_TRACKED, "TRACKED" },
				{ SPLICE_VM_SCAN_POPULATED, "POPULATED" }),
		  __entry->next, __entry->epoch, __entry->runs,
		  __entry->dirty, __entry->dropped, __entry->ret)
);

/* SEND returns. */
TRACE_EVENT(splice_vm_send,
	TP_PROTO(const struct splice_vm_session *sess,
		 const struct splice_vm_send *send, int ret),

	TP_ARGS(sess, send, ret),

	TP_STRUCT__entry(
		__field(u64, session)
		__field(pid_t, pid)
		__field(u64, cookie)
		__field(unsigned int, runs)
		__field(u64, done)
		__field(u64, sent)
		__field(u64, bytes)
		__field(int, ret)
	),

	TP_fast_assign(
		__entry->session = sess->id;
		__entry->pid = pid_nr(sess->pid);
		__entry->cookie = send->cookie;
		__entry->runs = send->nr_runs;
		__entry->done = send->pages_done;
		__entry->sent = send->pages_sent;
		__entry->bytes = send->bytes_sent;
		__entry->ret = ret;
	),

	TP_printk("session=%llu pid=%d cookie=%#llx runs=%u done=%llu sent=%llu bytes=%llu ret=%d",
		  __entry->session, __entry->pid, __entry->cookie,
		  __entry->runs, __entry->done, __entry->sent, __entry->bytes,
		  __entry->ret)
);

/* The kernel is about to drop or replace pages of a target that is tracked. */
TRACE_EVENT(splice_vm_drop,
	TP_PROTO(const struct splice_vm_session *sess, unsigned long start,
		 unsigned long end, enum mmu_notifier_event why),

	TP_ARGS(sess, start, end, why),

	TP_STRUCT__entry(
		__field(u64, session)
		__field(pid_t, pid)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned int, why)
	),

	TP_fast_assign(
		__entry->session = sess->id;
		__entry->pid = pid_nr(sess->pid);
		__entry->start = start;
		__entry->end = end;
		__entry->why = why;
	),

	TP_printk("session=%llu pid=%d start=%#lx end=%#lx why=%s",
		  __entry->session, __entry->pid, __entry->start,
		  __entry->end,
		  __print_symbolic(__entry->why,
				   { MMU_NOTIFY_UNMAP, "unmap" },
				   { MMU_NOTIFY_CLEAR, "clear" },
				   { MMU_NOTIFY_MIGRATE, "migrate" }))
);

#endif

/* Found through -I$(src), wherever DKMS or a tree of links puts it. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
