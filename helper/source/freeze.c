// SPDX-License-Identifier: GPL-2.0
/* The freeze with the write-protect tracker, whose last look comes before CRIU: write_protect.h. */
#include "source/outgoing.h"
#include "base/clock.h"
#include "base/report.h"

static void say_settled(const struct backend_settled *settled)
{
	report_event("settled", json_pack("{s:I,s:I,s:b,s:I}",
					  "dirty_pages", (json_int_t)settled->dirty_pages,
					  "pages", (json_int_t)settled->pages,
					  "cleared", settled->cleared,
					  "ns", (json_int_t)settled->ns));
}

int outgoing_settle(struct outgoing *out, struct error *err)
{
	struct backend_settled settled = { 0 };

	if (!out->backend->stands_first)
		return 0;
	if (out->backend->ops->settle(out->backend, &settled, err))
		return -1;
	say_settled(&settled);
	return 0;
}

int outgoing_stand(void *ctx, struct error *err)
{
	struct outgoing *out = ctx;

	out->frozen_at_ns = clock_now_ns();
	out->guarded = true;
	/* a child in another group would be in CRIU's way, which says less of it */
	if (source_keeper_guard(out->keeper, outgoing_left_ms(out), err) ||
	    outgoing_refuse_children(out, err) || outgoing_scan(out, true, &out->written, err))
		return -1;
	return out->backend->ops->give_up(out->backend, err);
}

void outgoing_add_rseq(const struct criu_task *task, struct page_set *written)
{
	for (size_t i = 0; i < task->nr_rseq; i++) {
		uint64_t first = task->rseq[i].addr >> PAGE_SHIFT;
		uint64_t last = (task->rseq[i].addr + task->rseq[i].bytes - 1) >> PAGE_SHIFT;

		page_set_add(written, first << PAGE_SHIFT, last - first + 1);
	}
}
