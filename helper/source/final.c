// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <sys/mman.h>
#include "source/external.h"
#include "source/limits.h"
#include "source/outgoing.h"
#include "source/timerfds.h"
#include "base/report.h"

#define SEND_RUNS	512
#define SEND_PAGES	16384UL

/* It may have forked since it was looked at. */
static int refuse_children(const struct outgoing *out, struct error *err)
{
	pid_t child;
	size_t nr;

	if (proc_children(out->opts->pid, &nr, &child, err))
		return -1;
	if (!nr)
		return 0;
	return error_set(err, CODE_REFUSED, "trees of processes are not carried yet",
			 "process %d started another one (%d) while it was migrated",
			 out->opts->pid, child);
}

static void warn_groups(const struct outgoing *out)
{
	if (out->guard.group.kind == CGROUP_NONE)
		report_say("no control group can freeze the program here: it sees SIGCONT if this is given up");
	if (out->guard.criu.kind == CGROUP_NONE)
		report_say("CRIU has no control group of its own here: a memory limit of this process is CRIU's too");
}

int outgoing_freeze(struct outgoing *out, struct error *err)
{
	struct criu_dump_opts opts = {
		.pid = out->opts->pid,
		.images_dir_fd = out->dir.images_fd,
		.work_dir_fd = out->dir.work_fd,
		.parent = out->backend->criu_tracks ? WORKDIR_PARENT : NULL,
		.log_level = out->opts->criu_log_level,
		.watch = outgoing_watch_rpc,
		.ctx = out,
		.group = &out->guard.criu,
		.leaves_session = !out->terminals.leads || out->terminals.nr,
	};
	struct externals externals = { 0 };
	uint64_t begin;
	int ret;

	if (opts.parent && criu_parent_write(out->dir.parent_fd, out->target.ns_pid, err))
		return -1;
	if (externals_find(out, &externals, err)) {
		externals_free(&externals);
		return -1;
	}
	opts.externals = externals.names;
	opts.nr_externals = externals.nr;
	warn_groups(out);
	report_progress("stopping the program");
	control_set_lost(out->ctl, out->opts->link_timeout_ms);
	begin = figures_now();
	out->frozen_at_ns = begin;
	outgoing_limit(out, begin + out->opts->max_frozen_s * 1000000000UL);
	timerfds_refresh(out->opts->pid);
	ret = criu_dump_start(&opts, &out->dump, err);
	externals_free(&externals);
	if (ret) {
		figures_thawed(&out->figures, begin);
		limits_explain(out->opts->pid, err);
		return -1;
	}
	out->figures.held_ns = figures_now() - begin;
	outgoing_watch_dump(out, criu_dump_fd(out->dump));
	if (mailbox_failed(&out->box, err) || refuse_children(out, err) ||
	    outgoing_refuse_frozen(out, err))
		return -1;
	out->guarded = true;
	if (source_keeper_guard(out->keeper, outgoing_left_ms(out), err))
		return -1;
	/* while there was no guard its death let the program run on, away from its images */
	return criu_dump_is_held(out->dump) ? 0 :
	       error_set(err, CODE_CRIU, NULL, "CRIU died while it held the program");
}

static int say_frozen(struct outgoing *out, struct error *err)
{
	Migrate__CriuVersion criu = MIGRATE__CRIU_VERSION__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Frozen frozen = MIGRATE__FROZEN__INIT;

	criu.major = out->criu.major;
	criu.minor = out->criu.minor;
	criu.sublevel = out->criu.sublevel;
	frozen.criu = &criu;
	msg.body_case = MIGRATE__CONTROL__BODY_FROZEN;
	msg.frozen = &frozen;
	return control_send(out->ctl, &msg, err);
}

/* Everything that was written since the last round, by the program or in its name. */
static int send_last_dirty(struct outgoing *out, struct error *err)
{
	struct page_set dirty;
	int ret;

	if (!outgoing_follows(out))
		return 0;
	if (page_set_init(&dirty))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a page set");
	ret = outgoing_scan(out, true, &dirty, err);
	if (!ret && out->mode != MODE_POSTCOPY) {
		outgoing_filter(&out->task.vmas, &dirty);
		ret = outgoing_send_stale(out, &dirty, err);
	}
	page_set_destroy(&dirty);
	return ret;
}

static int take_populated(void *ctx, const struct splice_vm_run *runs, uint32_t nr,
			  struct error *err)
{
	struct outgoing *out = ctx;

	for (uint32_t i = 0; i < nr; i++)
		/* the file's own pages and zeros come by themselves */
		if (!(runs[i].flags & (SPLICE_VM_RUN_FILE | SPLICE_VM_RUN_ZERO)))
			page_set_add(&out->populated, runs[i].addr, runs[i].nr_pages);
	return 0;
}

/* A page that cannot be read is to be known of before the program has moved. */
static int try_to_read(struct outgoing *out, const struct vma *vma, struct error *err)
{
	uint64_t at = vma->start;
	uint8_t page[PAGE_BYTES];
	struct run run;
	size_t done;

	for (; page_set_next(&out->populated, at, vma->end, 0, &run);
	     at = run.addr + (run.nr_pages << PAGE_SHIFT)) {
		if (out->backend->ops->read(out->backend, run.addr, page, PAGE_BYTES, &done, err))
			return -1;
		if (done != PAGE_BYTES)
			return error_set(err, CODE_REFUSED,
					 "load the module, or boot with proc_mem.force_override=always",
					 "memory that the program itself must not read, at 0x%lx, can be read by its tracer alone",
					 run.addr);
	}
	return 0;
}

static int find_populated(struct outgoing *out, struct error *err)
{
	for (size_t i = 0; i < out->task.vmas.nr; i++) {
		const struct vma *vma = &out->task.vmas.vmas[i];

		if (!vma_is_ours(vma))
			continue;
		if (out->backend->ops->populated(out->backend, vma->start, vma->end,
						 take_populated, out, err) ||
		    (!(vma->prot & PROT_READ) && try_to_read(out, vma, err)))
			return -1;
	}
	return outgoing_announce_memory(out, &out->populated, err);
}

static int send_populated(struct outgoing *out, struct error *err)
{
	struct splice_vm_run runs[SEND_RUNS];
	uint64_t at = 0;
	uint32_t nr;

	while ((nr = sender_take(&out->populated, &at, runs, SEND_RUNS, UINT32_MAX)))
		if (sender_list(&out->memory, FRAME_POPULATED, runs, nr, err))
			return -1;
	return 0;
}

/* Populated, and the destination has not the latest of it. */
static void find_left(struct outgoing *out)
{
	struct run run, old;
	uint64_t at = 0;

	pthread_mutex_lock(&out->left_lock);
	while (page_set_next(&out->populated, at, USER_END, 0, &run)) {
		uint64_t end = run.addr + (run.nr_pages << PAGE_SHIFT), from = run.addr;

		page_set_add(&out->left, run.addr, run.nr_pages);
		while (page_set_next(&out->there, from, end, 0, &old)) {
			page_set_remove(&out->left, old.addr, old.nr_pages);
			from = old.addr + (old.nr_pages << PAGE_SHIFT);
		}
		at = end;
	}
	pthread_mutex_unlock(&out->left_lock);
}

/* Mode precopy: all that is left, while the program stands. */
static int send_left(struct outgoing *out, struct error *err)
{
	struct splice_vm_run runs[SEND_RUNS];
	uint64_t at = 0, begin = figures_now(), pages = out->memory.pages;
	uint64_t bytes = out->memory.bytes;
	uint32_t nr;

	while ((nr = sender_take(&out->left, &at, runs, SEND_RUNS, SEND_PAGES)))
		if (mailbox_failed(&out->box, err) || sender_pages(&out->memory, runs, nr, err))
			return -1;
	page_set_remove(&out->left, 0, USER_END >> PAGE_SHIFT);
	out->figures.frozen_pages = out->memory.pages - pages;
	out->figures.frozen_bytes = out->memory.bytes - bytes;
	out->figures.frozen_send_ns = figures_now() - begin;
	report_say("sent while it stood: %.1f MiB in %.2f s", out->figures.frozen_bytes / 1048576.0,
		   out->figures.frozen_send_ns / 1e9);
	return 0;
}

int outgoing_final(struct outgoing *out, struct error *err)
{
	if (criu_task_read(out->dir.images_fd, &out->task, err))
		return -1;
	out->memory.frozen = true;
	/* of a round that was not announced: they wait there for the list of mappings */
	out->memory.round = out->last_round + 1;
	if (send_last_dirty(out, err) || outgoing_send_maps(out, &out->task.vmas, err) ||
	    find_populated(out, err) || say_frozen(out, err) || send_populated(out, err))
		return -1;
	find_left(out);
	if (out->mode == MODE_PRECOPY && send_left(out, err))
		return -1;
	return sender_mark(&out->memory, FRAME_FINAL, err);
}
