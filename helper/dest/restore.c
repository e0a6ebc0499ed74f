// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fdpass.h"
#include "base/report.h"
#include "base/spread.h"
#include "base/text.h"
#include "criu/opens.h"
#include "dest/late_pages.h"
#include "dest/ptys.h"
#include "dest/restore.h"
#include "dest/sender_check.h"
#include "dest/tmpfs.h"
#include "dest/tell.h"
#include "os/cgroup_members.h"
#include "os/net_filter.h"
#include "os/proc.h"
#include "session/cost.h"

#define HOLD_TABLE		"migrate-helper-restore"	/* of nftables, in the program's network namespace */
#define FINISH_TIMEOUT_MS	10000
#define BUSY_MS			600000	/* nothing comes from the source while CRIU works, or memory is compared */

static int read_parent_pages(void *ctx, uint64_t addr, uint64_t nr_pages, void *buf,
			     struct error *err)
{
	return late_pages_fetch(ctx, addr, nr_pages, buf, err);
}

/* In any thread. Pages for the images that no round has carried are fetched: the threads wait for these side by side. */
static int prepare_one(void *ctx, size_t at, struct error *err)
{
	struct restore *restore = ctx;
	const struct process *process = restore->program->processes[at];
	struct mm *mm = objects_mm_of(restore->objects, process->pid);
	struct criu_pages pages = { .read = read_parent_pages, .ctx = mm };
	struct page_set lazy;
	int ret;

	if (!mm)
		return error_set(err, CODE_PEER, NULL,
				 "the source did not announce the memory of process %d",
				 process->pid);
	page_set_init(&lazy);
	ret = criu_rewrite(restore->images->images_fd, &process->task, &pages, &lazy, err);
	if (!ret)
		ret = mm_seal(mm, &lazy, err);
	page_set_destroy(&lazy);
	return ret;
}

static int adopt_shared(struct restore *restore, struct error *err)
{
	const struct program *program = restore->program;
	pid_t *pids = calloc(program->nr + 1, sizeof(*pids));
	int ret;

	if (!pids)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for processes");
	for (size_t i = 0; i < program->nr; i++)
		pids[i] = program->processes[i]->pid;
	ret = shm_adopt(&restore->shm, restore->images->images_fd, pids, program->nr, err);
	free(pids);
	return ret;
}

/* Images as they came, to images that the restore can do with what is here. */
static int prepare_images(struct restore *restore, struct error *err)
{
	struct program *program = restore->program;

	if (program_read_images(program, restore->images->images_fd,
				restore->images->budget, err) ||
	    criu_opens_check(restore->images->images_fd, err) ||
	    namespaces_compare(restore->namespaces, program, restore->images->images_fd, err) ||
	    sender_check_shared(restore->rule, &restore->shm, err) ||
	    sender_check_images(restore->rule, program, restore->namespaces, restore->images->images_fd, err))
		return -1;
	if (adopt_shared(restore, err) ||
	    tmpfs_take_images(restore->mounts, restore->objects, restore->images->images_fd, restore->images->budget, err))
		return -1;
	return spread_run_waiting(program->nr, prepare_one, restore, err) ||
	       objects_end_seal(restore->objects, err) ? -1 : 0;
}

void restore_cancel(struct restore *restore)
{
	if (restore->cancel >= 0)
		shutdown(restore->cancel, SHUT_RDWR);
}

int restore_park(struct restore *restore, struct error *err)
{
	struct program *program = restore->program;

	if (program_spawn(program, restore->keeper, &restore->rpc_fd, err))
		return -1;
	restore->leave = (struct criu_leave){
		.group = &program->group, .criu = program->criu_pid, .root = program->root,
	};
	return 0;
}

static int hold_tasks(void *ctx, struct error *err)
{
	struct restore *restore = ctx;
	int ret;

	frozen_time_enter(&restore->frozen, MIGRATE__FROZEN_PART__HOLD);
	criu_leave_end(&restore->leave);
	ret = criu_hold_tasks(&restore->program->group, err);
	frozen_time_enter(&restore->frozen, MIGRATE__FROZEN_PART__RESTORE);
	return ret;
}

/* The restored process that is in another network namespace than CRIU and this helper; 0: there is none */
static pid_t find_in_network(const struct cgroup *group, struct error *err)
{
	ino_t here = proc_ns(0, "net");
	pid_t *pids, found = 0;
	size_t nr;

	if (cgroup_pids(group, &pids, &nr, err))
		return 0;
	for (size_t i = 0; i < nr && !found; i++) {
		ino_t there = proc_ns(pids[i], "net");

		if (there && there != here)
			found = pids[i];
	}
	free(pids);
	return found;
}

static int hold_network(void *ctx, bool on, struct error *err)
{
	const struct restore *restore = ctx;
	pid_t pid = find_in_network(&restore->program->group, err);

	if (!pid)
		return error_is_set(err) ? -1 :
		       error_set(err, CODE_CRIU, NULL, "no restored process is in the program's network namespace");
	return on ? net_filter_hold_in(pid, HOLD_TABLE, err) : net_filter_let_go_in(pid, HOLD_TABLE, err);
}

static void note_attach(void *ctx, bool attaches)
{
	struct restore *restore = ctx;

	frozen_time_enter(&restore->frozen, attaches ? MIGRATE__FROZEN_PART__ATTACH :
			  MIGRATE__FROZEN_PART__RESTORE);
}

/* A failure shuts @cancel down. CRIU's own socket stays: a hang-up would let the tasks go. */
static int watch_criu(struct restore *restore, int cancel, struct error *err)
{
	int ret;

	mailbox_lock(&restore->peer->box);
	restore->cancel = cancel;
	ret = restore->peer->box.failed ? -1 : 0;
	if (ret)
		*err = restore->peer->box.err;
	mailbox_unlock(&restore->peer->box);
	return ret;
}

/* @criu_err: what CRIU itself, or its log, says; NULL when it has not failed */
/*
 * CRIU's other socket breaks, and the namespace ends, when CRIU has failed: that says less than CRIU, but not if
 * it ended CRIU. @ret: of criu_restore_run()
 */
static void unwatch_criu(struct restore *restore, int ret, const struct error *criu_err)
{
	struct mailbox *box = &restore->peer->box;

	mailbox_lock(box);
	restore->cancel = -1;
	if (ret && criu_err->code != CODE_ABORTED && box->failed &&
	    (box->err.code == CODE_CRIU || (ret > 0 && box->err.code == CODE_TARGET)))
		box->err = *criu_err;
	/* the namespace may end right after this */
	if (ret > 0)
		mailbox_fail_locked(box, criu_err, true);
	mailbox_unlock(box);
}

static size_t program_threads(const struct program *program)
{
	size_t threads = 0;

	for (size_t i = 0; i < program->nr; i++)
		threads += program->processes[i]->task.nr_threads;
	return threads;
}

static int run_criu(struct restore *restore, struct error *err)
{
	struct criu_restore_opts opts = {
		.images_dir_fd = restore->images->images_fd, .work_dir_fd = restore->images->work_fd,
		.log_level = 2, .group = &restore->program->group, .criu = restore->program->criu_pid,
		.keeps_tcp = restore->keeps_tcp, .own_network = restore->own_network,
		.config = restore->config,
		.root = mounts_root(restore->mounts), .threads = program_threads(restore->program),
		.externals = restore->mounts->externals, .nr_externals = restore->mounts->nr,
		.pre_resume = hold_tasks, .holds_network = hold_network, .attaches = note_attach, .ctx = restore,
	};
	struct error criu_err = { 0 };
	int cancel[2], ret;
	pid_t root;

	if (fdpass_pair(cancel))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a socket pair");
	opts.cancel_fd = cancel[1];
	ret = watch_criu(restore, cancel[0], &criu_err);
	if (!ret)
		criu_leave_start(&restore->leave);
	if (!ret)
		ret = criu_restore_run(restore->rpc_fd, &opts, &root, &criu_err);
	criu_leave_end(&restore->leave);
	unwatch_criu(restore, ret, &criu_err);
	close(cancel[0]);
	close(cancel[1]);
	/* the first failure is the reason, CRIU's may be its consequence */
	if (mailbox_failed(&restore->peer->box, err))
		return -1;
	if (ret)
		*err = criu_err;
	return ret ? -1 : 0;
}

static int fetch_all(struct restore *restore, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__FetchAll fetch = MIGRATE__FETCH_ALL__INIT;

	msg.body_case = MIGRATE__CONTROL__BODY_FETCH_ALL;
	msg.fetch_all = &fetch;
	if (control_send(restore->peer->ctl, &msg, err) || populate_start(restore->populate, err))
		return -1;
	while (!restore->verify.complete) {
		Migrate__Control *got = mailbox_expect(&restore->peer->box, MIGRATE__CONTROL__BODY_DIGESTS, -1,
							err);
		int ret;

		if (!got)
			return -1;
		ret = verify_add(&restore->verify, got->digests, err);
		migrate__control__free_unpacked(got, NULL);
		if (ret)
			return -1;
	}
	return 0;
}

static int wait_memory(struct restore *restore, struct error *err)
{
	bool done = objects_wait(restore->objects, -1);

	if (mailbox_failed(&restore->peer->box, err))
		return -1;
	return done ? 0 : error_set(err, CODE_INTERNAL, NULL, "memory is not complete");
}

static int compare_process(struct restore *restore, const struct process *process,
			   struct error *err)
{
	const struct mm *mm = objects_mm_of(restore->objects, process->pid);

	return verify_task(&restore->verify, mm->id, process->host_pid, &process->task,
			   &mm->populated, &restore->verified_pages, err);
}

/* All are held at once: the v1 freezer has to thaw the whole group for that. */
static int compare_all(struct restore *restore, struct error *err)
{
	const struct program *program = restore->program;
	struct remote_group all;
	int ret = 0;

	if (remote_group_hold(&all, &program->group, false, err))
		return -1;
	for (size_t i = 0; i < program->nr && !ret; i++)
		ret = compare_process(restore, program->processes[i], err);
	return remote_group_release(&all, err) ? -1 : ret;
}

static int compare(struct restore *restore, struct error *err)
{
	if (fetch_all(restore, err) || wait_memory(restore, err))
		return -1;
	place_busy(restore->place, BUSY_MS);
	if (compare_all(restore, err) ||
	    shm_verify(&restore->shm, &restore->verify, &restore->verified_pages, err))
		return -1;
	place_progress(restore->place);
	tell("verified", json_pack("{s:I}", "pages", (json_int_t)restore->verified_pages),
	     "verified, the same on both sides: %s",
	     text_count(restore->verified_pages, "page", "pages").text);
	return 0;
}

static int say_ready(struct restore *restore, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Ready ready = MIGRATE__READY__INIT;
	Migrate__FrozenTime parts[FROZEN_PARTS], *list[FROZEN_PARTS];

	frozen_time_enter(&restore->frozen, 0);
	ready.frozen = list;
	ready.n_frozen = frozen_time_pack(&restore->frozen, parts, list);
	ready.restore_ns = restore->took_ns;
	ready.has_verified_pages = restore->verified_pages > 0;
	ready.verified_pages = restore->verified_pages;
	msg.body_case = MIGRATE__CONTROL__BODY_READY;
	msg.ready = &ready;
	peer_state(restore->peer, "READY");
	return control_send(restore->peer->ctl, &msg, err);
}

/* CRIU restores, and has ended: its tasks stand. */
static int restore_tasks(struct restore *restore, struct error *err)
{
	bool by_others = namespaces_have_user(restore->namespaces);
	int ret;

	if (ptys_prepare(restore->images->images_fd, restore->program->init_pid, err) ||
	    (by_others && images_lend(restore->images, restore->namespaces->root_gid, err)) ||
	    mounts_prepare(restore->mounts, &restore->images->dir, by_others,
			   restore->program->init_pid, err))
		return -1;
	place_busy(restore->place, BUSY_MS);
	ret = run_criu(restore, err);
	frozen_time_enter(&restore->frozen, MIGRATE__FROZEN_PART__END_RESTORE);
	place_progress(restore->place);
	close(restore->rpc_fd);
	restore->rpc_fd = -1;
	if (ret)
		return -1;
	/* the marker came before CRIU ended; each userfaultfd was the keeper's before it was attached */
	return peer_wait(restore->peer, &restore->restored, FINISH_TIMEOUT_MS,
			 "CRIU's mark that all is restored", err) ||
	       objects_are_held(restore->objects, err) ? -1 : 0;
}

/* For the source, and the link, as long as they like, other migrations would be refused later. */
static uint64_t waited_ns(const struct restore *restore)
{
	const uint64_t *parts = restore->frozen.ns;
	struct mm *mm = NULL;
	uint64_t ns = 0;

	while ((mm = objects_next(restore->objects, mm))) {
		mm_lock(mm);
		ns += mm->counts.fetch_ns;
		mm_unlock(mm);
	}
	/* several threads waited at the same time */
	if (ns > parts[MIGRATE__FROZEN_PART__REWRITE])
		ns = parts[MIGRATE__FROZEN_PART__REWRITE];
	return parts[MIGRATE__FROZEN_PART__AWAIT_LISTS] + ns;
}

static uint64_t cost_ns(const struct restore *restore)
{
	const struct frozen_time *time = &restore->frozen;
	uint64_t all = frozen_time_sum(time, FROZEN_DEST) + frozen_time_sum(time, FROZEN_CRIU);
	uint64_t waited = waited_ns(restore);

	return all > waited ? all - waited : 0;
}

void restore_keep_cost(const struct restore *restore)
{
	/* a test's delays say nothing of the next migration */
	if (!report_delays() && restore->cost_ns)
		cost_keep(COST_RESTORE, restore->comm, restore->cost_model_ns, restore->cost_ns);
}

static int run(struct restore *restore, struct opened *opened, struct error *err)
{
	struct frozen_time *time = &restore->frozen;
	uint64_t begin = clock_now_ns();

	peer_state(restore->peer, "RESTORE");
	frozen_time_enter(time, MIGRATE__FROZEN_PART__REWRITE);
	if (prepare_images(restore, err) ||
	    (!mounts_are_own(restore->mounts) && opened_expect(opened, restore->images->images_fd, err)))
		return -1;
	frozen_time_enter(time, MIGRATE__FROZEN_PART__RESTORE);
	if (restore_tasks(restore, err))
		return -1;
	if (shm_give(&restore->shm, err))
		return -1;
	frozen_time_enter(time, MIGRATE__FROZEN_PART__ATTRIBUTES_THERE);
	if (program_restore_attributes(restore->program, restore->peer->ctl, err))
		return -1;
	objects_ready(restore->objects);
	restore->took_ns = clock_now_ns() - begin;
	frozen_time_enter(time, MIGRATE__FROZEN_PART__COMPARE);
	restore->cost_ns = cost_ns(restore);
	if (restore->compare && compare(restore, err))
		return -1;
	frozen_time_enter(time, MIGRATE__FROZEN_PART__CHECK);
	/* at COMMIT, when the names are given, it is late for the source to learn that one is taken */
	if (mailbox_failed(&restore->peer->box, err) || program_check(restore->program, err) ||
	    shm_check_names(&restore->shm, err) ||
	    (!mounts_are_own(restore->mounts) &&
	     program_check_files(restore->program, opened, err)) ||
	    sender_check_files(restore->rule, restore->program, err))
		return -1;
	return say_ready(restore, err);
}

int restore_run(struct restore *restore, struct error *err)
{
	struct opened opened = { 0 };
	int ret = run(restore, &opened, err);

	opened_free(&opened);
	return ret;
}
