// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/report.h"
#include "base/spread.h"
#include "os/pending.h"
#include "source/blocked.h"
#include "source/external.h"
#include "source/freeze.h"
#include "source/kept_sockets.h"
#include "source/limits.h"
#include "source/network.h"
#include "source/orphans.h"
#include "source/scan.h"
#include "source/timerfds.h"
#include "source/unsettled.h"

#define BEGIN_MS	60000	/* until CRIU asks whether it may begin, which takes it some ms */
#define UNSETTLED_MS	1000	/* calls of vfork take less */

static void warn_groups(const struct guard *guard)
{
	if (guard->group.kind == CGROUP_NONE)
		report_say("no control group can freeze the program here: it sees SIGCONT if this is given up");
	if (guard->criu.kind == CGROUP_NONE)
		report_say("CRIU has no control group of its own here: a memory limit of this process is CRIU's too");
}

/* The rounds are over: CRIU shall find few pages dirty. */
static int settle(const struct freeze *freeze, struct error *err)
{
	struct source_process *process;

	tree_for_each(freeze->tree, process) {
		struct backend *backend = process->mm.backend;
		struct backend_settled settled = { 0 };

		if (!backend->stands_first)
			continue;
		if (backend->ops->settle(backend, &settled, err)) {
			if (tree_forgive(freeze->tree, process, err))
				continue;
			return -1;
		}
		report_event("settled", json_pack("{s:I,s:I,s:b,s:I}",
						  "dirty_pages", (json_int_t)settled.dirty_pages,
						  "pages", (json_int_t)settled.pages,
						  "cleared", settled.cleared,
						  "ns", (json_int_t)settled.ns));
	}
	return 0;
}

/* The program runs for a moment, and is asked to stand again. */
static int run_on(const struct freeze *freeze, struct error *err)
{
	const struct timespec moment = { .tv_nsec = 2000000 };

	if (source_keeper_unguard(freeze->keeper, err))
		return -1;
	nanosleep(&moment, NULL);
	return source_keeper_enter(freeze->keeper, watch_left_ms(freeze->watch), err);
}

static int find_unsettled(const struct freeze *freeze, struct unsettled *found, struct error *err)
{
	if (unsettled_find(freeze->tree, found, err))
		return -1;
	return found->pid ? 0 : unsettled_find_file(freeze->tree, &freeze->kernel_files, found, err);
}

static int stand_settled(struct freeze *freeze, struct error *err)
{
	uint64_t from = clock_now_ns(), until = from + UNSETTLED_MS * 1000000UL;
	struct unsettled unsettled;

	for (;;) {
		uint64_t now = clock_now_ns();
		bool late = now >= until;

		freeze->figures->frozen.settling_ns = now - from;

		freeze->guarded = true;
		if (source_keeper_guard(freeze->keeper, watch_left_ms(freeze->watch), err) ||
		    tree_follow(freeze->tree, freeze->join, freeze->ctx, err) ||
		    find_unsettled(freeze, &unsettled, err))
			return -1;
		if (!unsettled.pid || (late && unsettled.may_go))
			return 0;
		if (late)
			break;
		if (run_on(freeze, err))
			return -1;
	}
	return error_set(err, CODE_REFUSED, "migrate again",
			 "process %d %s whenever the program shall stand", unsettled.pid, unsettled.why);
}

/* Before CRIU takes a socket apart: afterwards it would go on with what its peer sends. */
static int lock_connections(void *ctx, struct error *err)
{
	struct freeze *freeze = ctx;
	struct connections *connections = freeze->connections;

	if (!connections_are_kept(connections))
		return 0;
	connections->on = true;
	return source_keeper_lock(freeze->keeper, &connections->addresses, err);
}

static enum criu_tcp choose_tcp(const struct freeze *freeze)
{
	/*
	 * Both ends of a connection are in a namespace that stands: nothing has to be kept away. The destination
	 * holds them while they are restored (dest/restore.c).
	 */
	if (!connections_are_kept(freeze->connections) && !freeze->tree->own_network)
		return CRIU_TCP_CLOSE;
	return criu_is_4_1(freeze->terms->criu) ? CRIU_TCP_KEEP : CRIU_TCP_KEEP_LOCKED;
}

static void compare_shared(void *ctx)
{
	struct freeze *freeze = ctx;

	shm_compare_start(&freeze->compare, freeze->shms, freeze->failure->first.box);
}

static void begin_frozen(struct freeze *freeze, uint32_t part)
{
	if (freeze->throttle)
		throttle_end(freeze->throttle);
	freeze->at_ns = clock_now_ns();
	frozen_time_enter(&freeze->figures->frozen, part);
	watch_limit(freeze->watch, freeze->at_ns + freeze->max_frozen_s * 1000000000UL);
}

static bool is_given_up(const struct source_mm *mm)
{
	return mm->tracked && mm->backend->stands_first;
}

/* CRIU runs, and waits before its look at the program. */
static int stand(void *ctx, struct error *err)
{
	struct freeze *freeze = ctx;
	struct frozen_time *time = &freeze->figures->frozen;
	struct source_mm *mm;

	begin_frozen(freeze, MIGRATE__FROZEN_PART__GUARD);
	if (stand_settled(freeze, err) || lock_connections(freeze, err))
		return -1;
	freeze->stood = true;
	compare_shared(freeze);
	frozen_time_enter(time, MIGRATE__FROZEN_PART__LAST_SCAN);
	if (scan_tree(freeze->tree, is_given_up, true, freeze->sender, err))
		return -1;
	tree_for_each_mm(freeze->tree, mm)
		if (is_given_up(mm) && mm->backend->ops->give_up(mm->backend, err))
			return -1;
	attributes_ahead_start(&freeze->ahead, freeze->tree, &freeze->guard->group);
	frozen_time_enter(time, MIGRATE__FROZEN_PART__DUMP);
	return 0;
}

/* A process that CRIU finds and that is not in the parent is dumped in full, which is right too. */
static int write_parent(const struct freeze *freeze, struct error *err)
{
	struct source_process *process;

	if (criu_parent_write(freeze->dir->parent_fd, err))
		return -1;
	tree_for_each(freeze->tree, process)
		if (criu_parent_add(freeze->dir->parent_fd, process->status.ns_pid, err))
			return -1;
	return 0;
}

/*
 * One after the other: CRIU's process is forked here, and what it does before exec takes memory. A thread that waited for
 * the keeper meanwhile could have a lock of the allocator in that moment, for ever in the child.
 */
static int enter_and_start(struct freeze *freeze, const struct criu_dump_opts *opts, struct error *err)
{
	freeze->entered = true;
	if (source_keeper_enter(freeze->keeper, BEGIN_MS + freeze->max_frozen_s * 1000, err))
		return -1;
	return criu_dump_prepare(opts, &freeze->dump, err);
}

/* What takes a while, and can be done before the program stands. */
static int prepare(struct freeze *freeze, const struct criu_dump_opts *opts, struct error *err)
{
	if (settle(freeze, err))
		return -1;
	if (opts->before == stand && kernel_files_learn(&freeze->kernel_files, freeze->tree, err))
		return -1;
	if (opts->parent && write_parent(freeze, err))
		return -1;
	if (blocked_check(freeze->tree, err))
		return -1;
	warn_groups(freeze->guard);
	report_progress("stopping the program");
	return enter_and_start(freeze, opts, err);
}

/* Only the keeper, which is dead, knew whether it had to stop the program by a signal. */
static bool is_stopped_by_signal(const struct guard *guard)
{
	struct error ignored = { 0 };
	struct proc_status status;
	uint64_t mask;

	if (guard->group.kind != CGROUP_NONE)
		return false;
	/* while CRIU traces it the signal waits */
	return (!pending_read(guard->pid, &mask, &ignored) && pending_has(mask, SIGSTOP)) ||
	       (!proc_stat_read(guard->pid, &status, &ignored) && status.state == 'T');
}

/* CRIU may still work on the program. */
static void let_run(void *ctx)
{
	struct freeze *freeze = ctx;
	struct error why = { 0 };

	if (!freeze->entered)
		return;
	freeze->entered = false;
	shm_compare_stop(&freeze->compare);
	attributes_ahead_end(&freeze->ahead, false);
	if (!source_keeper_unguard(freeze->keeper, &why))
		return;
	if (connections_resume(freeze->connections, freeze->guard, &why))
		report_say("a connection of the program may be lost: %s", why.what);
	freeze->guard->signalled = freeze->guarded && is_stopped_by_signal(freeze->guard);
	memset(&why, 0, sizeof(why));
	if (guard_off(freeze->guard, &why))
		report_say("the program stands: %s", why.what);
}

/*
 * One moment for the whole tree: CRIU alone stops one process after another. Not in the v1 freezer, where CRIU
 * would wait for ever for a process that was stopped before (SIGSTOP). Not with kept connections: given up with
 * CRIU 3.17 a peer saw one of them end.
 */
static bool stands_at_once(const struct freeze *freeze)
{
	return freeze->guard->group.kind == CGROUP_V2 && !connections_are_kept(freeze->connections);
}

static int refresh_timers(void *ctx, size_t at, struct error *err)
{
	const struct tree *tree = ctx;

	if (!tree->processes[at]->gone)
		timerfds_refresh(tree->processes[at]->pid);
	return 0;
}

static int dump(struct freeze *freeze, const struct externals *externals, struct error *err)
{
	const struct source_process *root = tree_root(freeze->tree);
	struct criu_dump_opts opts = {
		.pid = root->pid,
		.images_dir_fd = freeze->dir->images_fd,
		.work_dir_fd = freeze->dir->work_fd,
		.parent = root->mm.backend->criu_tracks ? WORKDIR_PARENT : NULL,
		.log_level = freeze->criu_log_level,
		.watch = source_failure_watch_rpc,
		.ctx = freeze->failure,
		.group = &freeze->guard->criu,
		.shm = &freeze->shms->dump,
		.externals = externals->names,
		.nr_externals = externals->nr,
		.leaves_session = externals->leaves_session,
		.tcp = choose_tcp(freeze),
		.config = freeze->config,
		.before = lock_connections,
		.before_ctx = freeze,
		.begin_ms = BEGIN_MS,
	};

	if (root->mm.backend->stands_first || stands_at_once(freeze)) {
		opts.before = stand;
		opts.undo = let_run;
		opts.frozen = &freeze->guard->group;
	}
	if (shms_plan_dump(freeze->shms, err))
		return -1;
	freeze->shms->dump.stands = compare_shared;
	freeze->shms->dump.ctx = freeze;
	if (prepare(freeze, &opts, err))
		return -1;
	spread_run(freeze->tree->nr, refresh_timers, freeze->tree, &(struct error){ 0 });
	if (opts.before != stand)
		begin_frozen(freeze, MIGRATE__FROZEN_PART__DUMP);
	if (criu_dump_start(&opts, &freeze->dump, err)) {
		shm_compare_stop(&freeze->compare);
		shm_compare_end(&freeze->compare);
		attributes_ahead_end(&freeze->ahead, false);
		figures_thawed(freeze->figures, freeze->at_ns);
		limits_explain(root->pid, err);
		return -1;
	}
	attributes_ahead_end(&freeze->ahead, true);
	freeze->figures->held_ns = clock_now_ns() - freeze->at_ns;
	frozen_time_enter(&freeze->figures->frozen, MIGRATE__FROZEN_PART__COMPARE_SHARED);
	/* where nothing has begun it: it has several threads here */
	compare_shared(freeze);
	shm_compare_end(&freeze->compare);
	frozen_time_enter(&freeze->figures->frozen, MIGRATE__FROZEN_PART__GUARD);
	return 0;
}

/* The program may have opened one since SETUP, or closed one. */
static int check_connections(const struct freeze *freeze, struct error *err)
{
	const struct connections *connections = freeze->connections;

	if (connections->inside)
		orphans_find_in(tree_root(freeze->tree)->pid, freeze->terms->losses);
	if (!connections_are_kept(connections))
		return 0;
	orphans_find(&connections->addresses, freeze->terms->losses);
	return kept_sockets_check(freeze->tree, &connections->addresses, err);
}

/* CRIU has thawed and stopped it, and its mappings may be others than those of the last scan. */
static void forget_held(const struct freeze *freeze)
{
	struct source_process *process;

	tree_for_each(freeze->tree, process)
		source_process_forget_held(process);
}

/* CRIU holds all of them. */
static int follow_held(const struct freeze *freeze, struct error *err)
{
	return freeze->stood ? tree_follow_standing(freeze->tree, freeze->join, freeze->ctx, err) :
	       tree_follow(freeze->tree, freeze->join, freeze->ctx, err);
}

int freeze_tree(struct freeze *freeze, struct error *err)
{
	struct externals externals = { 0 };
	int ret = source_network_check(tree_root(freeze->tree)->pid, freeze->config, err);

	if (!ret && connections_are_kept(freeze->connections))
		orphans_drain(&freeze->connections->addresses);
	if (!ret)
		ret = externals_find(freeze->terms, freeze->tree, &externals, err);
	if (!ret && freeze->asker.ctl)
		ret = needs_ask(&freeze->asker, err);
	if (!ret)
		ret = dump(freeze, &externals, err);
	externals_free(&externals);
	kernel_files_free(&freeze->kernel_files);
	if (ret)
		return -1;
	watch_dump(freeze->watch, criu_dump_fd(freeze->dump));
	forget_held(freeze);
	if (mailbox_failed(freeze->failure->first.box, err) || follow_held(freeze, err))
		return -1;
	tree_hold(freeze->tree);
	if (shms_take_dump(freeze->shms, freeze->tree, err) ||
	    refuse_frozen(freeze->terms, freeze->tree, err) || check_connections(freeze, err) ||
	    source_network_check(tree_root(freeze->tree)->pid, freeze->config, err))
		return -1;
	freeze->guarded = true;
	/* for the second time when CRIU found the program frozen: it has thawed the group */
	if (source_keeper_guard(freeze->keeper, watch_left_ms(freeze->watch), err))
		return -1;
	/* while there was no guard its death let the program run on, away from its images */
	return criu_dump_is_held(freeze->dump) ? 0 :
	       error_set(err, CODE_CRIU, NULL, "CRIU died while it held the program");
}

void freeze_undo(struct freeze *freeze)
{
	struct error why = { 0 };

	if (!freeze->entered && !freeze->at_ns)
		return;
	watch_dump(freeze->watch, -1);
	/* CRIU needs the program able to run to take its own code out of it */
	let_run(freeze);
	if (freeze->dump && criu_dump_refuse(freeze->dump, &why))
		report_say("the program may not be as it was: %s", why.what);
	freeze->dump = NULL;
	/* CRIU freezes a group again that it found frozen, if the group is still there */
	if (guard_off(freeze->guard, &why))
		report_say("the program stands: %s", why.what);
	freeze->guarded = false;
	figures_thawed(freeze->figures, freeze->at_ns);
}

void freeze_kill(const struct freeze *freeze)
{
	kill(criu_dump_pid(freeze->dump), SIGKILL);
}

void freeze_end(struct freeze *freeze)
{
	criu_dump_kill(freeze->dump);
	freeze->dump = NULL;
}
