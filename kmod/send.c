// SPDX-License-Identifier: GPL-2.0
/*
 * SEND: a list of runs to a socket, batch by batch. The target's mmap_lock is held
 * only while references are taken, never while the socket is waited for.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "batch.h"
#include "inflight.h"
#include "stats.h"
#include "runs.h"
#include "send.h"
#include "sock.h"
#include "gup.h"

#define SPLICE_VM_SEND_RESULTS	4096
/* Steps in one hold of the target's mmap lock; long holes take many. */
#define SPLICE_VM_SEND_STEPS	1024

/**
 * struct splice_vm_send_call - one SEND under way
 * @sess: whose
 * @arg: kernel copy of the caller's struct, out fields are kept up to date
 * @ss: the socket
 * @flight: pages that SEND left at it
 * @limit: of a batch's charge
 * @reserved: room for the next batch
 * @runs: kernel copy of the runs
 * @pages: in all of them
 * @run: index of the run that is being worked on
 * @page: pages of it that are done
 * @results: what SEND did with them
 * @batch: the batch that is being put together
 */
struct splice_vm_send_call {
	struct splice_vm_session *sess;
	struct splice_vm_send *arg;
	struct splice_vm_sock ss;
	struct splice_vm_flight *flight;
	unsigned long limit;
	unsigned long reserved;
	struct splice_vm_run *runs;
	u64 pages;
	unsigned int run;
	unsigned int page;
	struct splice_vm_runs results;
	struct splice_vm_batch_buf *batch;
};

static int splice_vm_run_check(const struct splice_vm_run *run)
{
	if (!run->nr_pages || run->flags || !PAGE_ALIGNED(run->addr))
		return -EINVAL;
	if (run->addr >= TASK_SIZE_MAX)
		return -EFAULT;
	if (run->nr_pages > (TASK_SIZE_MAX - run->addr) >> PAGE_SHIFT)
		return run->addr + ((u64)run->nr_pages << PAGE_SHIFT) < run->addr ?
		       -EINVAL : -EFAULT;
	return 0;
}

static int splice_vm_send_copy_runs(struct splice_vm_send_call *call)
{
	struct splice_vm_send *arg = call->arg;
	unsigned int i;
	int ret;

	if (copy_from_user(call->runs, u64_to_user_ptr(arg->runs),
			   arg->nr_runs * sizeof(*call->runs)))
		return -EFAULT;
	for (i = 0; i < arg->nr_runs; i++) {
		ret = splice_vm_run_check(&call->runs[i]);
		if (ret)
			return ret;
		call->pages += call->runs[i].nr_pages;
	}
	return 0;
}

/* There is room: the caller of each step looked. */
static void splice_vm_send_result(struct splice_vm_send_call *call, u64 addr,
				  u32 nr, u32 flags)
{
	splice_vm_runs_add(&call->results, addr, nr, flags);
	call->arg->pages_done += nr;
	call->page += nr;
	if (call->page == call->runs[call->run].nr_pages) {
		call->run++;
		call->page = 0;
	}
}

static bool splice_vm_send_is_done(const struct splice_vm_send_call *call)
{
	return call->run == call->arg->nr_runs ||
	       call->results.nr == call->results.max;
}

/* A part of the cap: other calls, and pages that are still queued, have the rest. */
static unsigned long splice_vm_send_limit(const struct splice_vm_session *sess)
{
	return max(min(sess->max_inflight, splice_vm_inflight_limit()) / 8, 1UL);
}

/* The most that the next batch may be charged; the last folio may exceed the limit. */
static unsigned long splice_vm_send_most(const struct splice_vm_send_call *call)
{
	return min_t(u64, call->limit + PTRS_PER_PTE,
		     (call->pages - call->arg->pages_done) * PTRS_PER_PTE);
}

static bool splice_vm_batch_is_full(const struct splice_vm_send_call *call)
{
	const struct splice_vm_batch_buf *batch = call->batch;

	return batch->nr_pages == SPLICE_VM_BATCH_PAGES ||
	       batch->charge >= call->limit;
}

/* One step: pages that are alike, from the run that is being worked on. */
static void splice_vm_send_step(struct splice_vm_send_call *call,
				struct mm_struct *mm)
{
	static const u32 flags[] = {
		[SPLICE_VM_GUP_DONE] = SPLICE_VM_RUN_SENT,
		[SPLICE_VM_GUP_ZERO] = SPLICE_VM_RUN_IS_ZERO,
		[SPLICE_VM_GUP_GONE] = SPLICE_VM_RUN_GONE,
		[SPLICE_VM_GUP_SLOW] = SPLICE_VM_RUN_SLOW,
	};
	struct splice_vm_batch_buf *batch = call->batch;
	const struct splice_vm_run *run = &call->runs[call->run];
	unsigned long addr = run->addr + ((u64)call->page << PAGE_SHIFT);
	unsigned long count;
	enum splice_vm_gup_result taken;

	count = min(run->nr_pages - call->page,
		    SPLICE_VM_BATCH_PAGES - batch->nr_pages);
	taken = splice_vm_gup(call->sess, mm, addr, count,
			      batch->pages + batch->nr_pages, &count);
	if (taken == SPLICE_VM_GUP_DONE) {
		unsigned long added;

		added = splice_vm_batch_add(batch, addr, count,
					    call->limit);
		splice_vm_gup_put(call->sess, batch->pages + batch->nr_pages,
				  count - added);
		count = added;
	}
	splice_vm_send_result(call, addr, count, flags[taken]);
}

/* Fills the batch, or runs out of runs or room for results. */
static int splice_vm_send_gather(struct splice_vm_send_call *call)
{
	struct mm_struct *mm = splice_vm_target_get(call->sess);
	unsigned int step;

	if (IS_ERR(mm))
		return PTR_ERR(mm);
	if (mmap_read_lock_killable(mm)) {
		splice_vm_target_put(mm);
		return -EINTR;
	}
	for (step = 0; step < SPLICE_VM_SEND_STEPS; step++) {
		if (splice_vm_send_is_done(call) ||
		    splice_vm_batch_is_full(call) ||
		    fatal_signal_pending(current))
			break;
		splice_vm_send_step(call, mm);
	}
	mmap_read_unlock(mm);
	splice_vm_target_put(mm);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static int splice_vm_send_batch(struct splice_vm_send_call *call)
{
	struct splice_vm_batch_buf *batch = call->batch;
	u64 before = call->arg->bytes_sent, bytes;
	int ret;

	splice_vm_batch_reset(batch);
	ret = splice_vm_send_gather(call);
	/* The socket may take its time: only the batch's own pages stay reserved meanwhile. */
	splice_vm_flight_trim(call->flight, &call->reserved, batch->charge);
	if (!ret && batch->nr_pages)
		ret = splice_vm_batch_write(batch, call->arg->cookie,
					    &call->ss, &call->arg->bytes_sent);
	bytes = call->arg->bytes_sent - before;
	splice_vm_flight_commit(call->flight, call->reserved, batch->charge,
				bytes);
	atomic64_add(bytes, &call->sess->bytes_sent);
	if (!ret) {
		call->arg->pages_sent += batch->nr_pages;
		atomic64_add(batch->nr_pages, &call->sess->pages_sent);
	}
	splice_vm_gup_put(call->sess, batch->pages, batch->nr_pages);
	return ret;
}

/* Room at the socket, and under the caps. */
static bool splice_vm_send_has_room(struct splice_vm_send_call *call)
{
	call->reserved = 0;
	if (splice_vm_sock_is_dead(&call->ss))
		return true;
	if (!splice_vm_sock_is_ready(&call->ss))
		return false;
	call->reserved = splice_vm_send_most(call);
	return splice_vm_flight_reserve(call->flight, call->reserved);
}

static int splice_vm_send_wait(struct splice_vm_send_call *call)
{
	int ret = 0;

	while (!ret && !splice_vm_send_has_room(call)) {
		if (splice_vm_sock_is_nonblocking(&call->ss) ||
		    (signal_pending(current) && call->arg->pages_done))
			ret = -EAGAIN;
		else
			ret = splice_vm_sock_nap(&call->ss);
	}
	return ret;
}

static int splice_vm_send_loop(struct splice_vm_send_call *call)
{
	u64 *bytes = &call->arg->bytes_sent;
	u64 before;
	int ret;

	do {
		ret = splice_vm_send_wait(call);
		/* SEND would wait now, but has done a part: report that part. */
		if (ret == -EAGAIN && call->arg->pages_done)
			return 0;
		if (ret)
			return ret;
		before = *bytes;
		ret = splice_vm_sock_check(&call->ss);
		if (!ret)
			ret = splice_vm_send_batch(call);
		else
			splice_vm_flight_trim(call->flight, &call->reserved, 0);
		/* The target went away between two batches. */
		if (ret == -ESRCH && call->arg->pages_done && *bytes == before)
			return 0;
		if (ret)
			return ret;
		cond_resched();
	} while (!splice_vm_send_is_done(call) && !signal_pending(current));
	return 0;
}

static int splice_vm_send_report(struct splice_vm_send_call *call)
{
	call->arg->nr_results = call->results.nr;
	if (copy_to_user(u64_to_user_ptr(call->arg->results), call->results.v,
			 call->results.nr * sizeof(*call->results.v)))
		return -EFAULT;
	return 0;
}

static int splice_vm_send_alloc(struct splice_vm_send_call *call)
{
	u32 max = min_t(u32, call->arg->nr_results, SPLICE_VM_SEND_RESULTS);

	call->runs = kvmalloc_array(call->arg->nr_runs, sizeof(*call->runs),
				    GFP_KERNEL | __GFP_NOWARN);
	call->batch = kvmalloc(sizeof(*call->batch),
			       GFP_KERNEL | __GFP_NOWARN);
	if (!call->runs || !call->batch)
		return -ENOMEM;
	return splice_vm_runs_init(&call->results, max, max);
}

/* The socket, and the account of the pages that go there. */
static int splice_vm_send_open(struct splice_vm_send_call *call)
{
	int ret = splice_vm_sock_get(&call->ss, call->arg->sock_fd);

	if (ret)
		return ret;
	call->flight = splice_vm_flight_get(call->sess, call->ss.sock->sk);
	if (!call->flight) {
		splice_vm_sock_put(&call->ss);
		return -ENOMEM;
	}
	call->limit = splice_vm_send_limit(call->sess);
	return 0;
}

static void splice_vm_send_close(struct splice_vm_send_call *call)
{
	splice_vm_flight_put(call->flight);
	splice_vm_sock_put(&call->ss);
}

static void splice_vm_send_free(struct splice_vm_send_call *call)
{
	kvfree(call->batch);
	splice_vm_runs_free(&call->results);
	kvfree(call->runs);
}

/**
 * splice_vm_send() - SPLICE_VM_SEND
 * @sess: the session
 * @arg: struct splice_vm_send, a kernel copy; its out fields hold after errors of the socket
 */
long splice_vm_send(struct splice_vm_session *sess, void *arg)
{
	struct splice_vm_send_call call = { .sess = sess, .arg = arg };
	struct splice_vm_send *send = arg;
	struct mm_struct *mm;
	int ret, err;

	if (!send->nr_runs || send->nr_runs > SPLICE_VM_SEND_RUNS ||
	    !send->nr_results || send->reserved)
		return -EINVAL;
	mm = splice_vm_target_get(sess);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	splice_vm_target_put(mm);
	send->pages_done = 0;
	send->pages_sent = 0;
	send->bytes_sent = 0;

	ret = splice_vm_send_alloc(&call);
	send->nr_results = 0;
	if (!ret)
		ret = splice_vm_send_copy_runs(&call);
	if (ret)
		goto out_free;
	ret = splice_vm_send_open(&call);
	if (ret)
		goto out_free;
	ret = splice_vm_send_loop(&call);
	splice_vm_send_close(&call);
	err = splice_vm_send_report(&call);
	if (!ret)
		ret = err;
out_free:
	splice_vm_stats_send(sess, send, ret);
	splice_vm_send_free(&call);
	return ret;
}
