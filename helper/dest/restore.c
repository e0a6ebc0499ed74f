// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fdpass.h"
#include "dest/journal.h"
#include "dest/migration.h"
#include "dest/ptys.h"
#include "dest/tell.h"
#include "os/pending.h"
#include "os/proc.h"
#include "session/cost.h"

#define FINAL_TIMEOUT_MS	30000
#define FINISH_TIMEOUT_MS	10000
#define BUSY_MS			600000	/* nothing comes from the source while CRIU works, or memory is compared */

static int read_parent_pages(void *ctx, uint64_t addr, uint64_t nr_pages, void *buf,
			     struct error *err)
{
	return mm_fetch(ctx, addr, nr_pages, buf, err);
}

/* Images as they came, to images that the restore can do with what is here. */
static int prepare_images(struct migration *in, struct error *err)
{
	struct criu_pages pages = { .read = read_parent_pages, .ctx = &in->mm };
	struct page_set lazy;
	int ret;

	if (in->images.files != in->announced_files || in->images.file >= 0)
		return error_set(err, CODE_PEER, NULL, "%u image files came, the source sent %u",
				 in->images.files, in->announced_files);
	if (criu_task_read(in->images.images_fd, &in->task, err))
		return -1;
	if (in->task.pid != in->setup->pid)
		return error_set(err, CODE_PEER, NULL,
				 "the images are of task %d, announced was %d", in->task.pid,
				 in->setup->pid);
	if (page_set_init(&lazy))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a page set");
	ret = criu_rewrite(in->images.images_fd, &in->task, &pages, &lazy, err);
	if (!ret)
		ret = mm_seal(&in->mm, &lazy, err);
	page_set_destroy(&lazy);
	return ret;
}

static int spawn(struct migration *in, int *rpc_fd, struct error *err)
{
	int handle;

	if (keeper_hold(in->keeper, in->mm.mirror.fd, &handle, err) ||
	    keeper_spawn(in->keeper, in->task.pid, rpc_fd, &in->init_pid, err))
		return -1;
	in->init_fd = syscall(SYS_pidfd_open, in->init_pid, 0);
	if (in->init_fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot watch the namespace's init");
	return 0;
}

void migration_plan_group(struct migration *in)
{
	char name[NAME_MAX];

	snprintf(name, sizeof(name), "migrate-helper-%s-dest", in->images.id);
	/* first out of this helper's own limits, which are not the program's */
	if (cgroup_plan_mounted(&in->group, CGROUP_TOP, name))
		cgroup_plan(&in->group, 0, CGROUP_BELOW, name);
}

static int hold_tasks(void *ctx, struct error *err)
{
	struct migration *in = ctx;

	return criu_hold_tasks(&in->group, err);
}

/* A failure shuts @cancel down. CRIU's own socket stays: a hang-up would let the tasks go. */
static int watch_criu(struct migration *in, int cancel, struct error *err)
{
	int ret;

	mailbox_lock(&in->box);
	in->sync.rpc_fd = cancel;
	ret = in->box.failed ? -1 : 0;
	if (ret)
		*err = in->box.err;
	mailbox_unlock(&in->box);
	return ret;
}

/* @criu_err: what CRIU itself, or its log, says; NULL when it has not failed */
static void unwatch_criu(struct migration *in, const struct error *criu_err)
{
	mailbox_lock(&in->box);
	in->sync.rpc_fd = -1;
	/* that CRIU's other socket broke says less */
	if (criu_err && in->box.failed && in->box.err.code == CODE_CRIU)
		in->box.err = *criu_err;
	mailbox_unlock(&in->box);
}

static int run_criu(struct migration *in, int rpc_fd, struct error *err)
{
	struct criu_restore_opts opts = {
		.images_dir_fd = in->images.images_fd, .work_dir_fd = in->images.work_fd,
		.log_level = 4, .group = &in->group, .pre_resume = hold_tasks, .ctx = in,
	};
	struct error criu_err = { 0 };
	int cancel[2], ret;
	pid_t root;

	if (fdpass_pair(cancel))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a socket pair");
	opts.cancel_fd = cancel[1];
	ret = watch_criu(in, cancel[0], &criu_err);
	if (!ret)
		ret = criu_restore_run(rpc_fd, &opts, &root, &criu_err);
	unwatch_criu(in, ret ? &criu_err : NULL);
	close(cancel[0]);
	close(cancel[1]);
	/* the first failure is the reason, CRIU's may be its consequence */
	if (mailbox_failed(&in->box, err))
		return -1;
	if (ret)
		*err = criu_err;
	return ret;
}

static const char hint_limits[] =
	"look at its limits (prlimit --pid PID) and at the memory of this machine";

/* A signal that came here, of a fault or a limit: the source's copy goes on without it. */
static int check_pending(const struct migration *in, pid_t pid, struct error *err)
{
	uint64_t mask;
	int sig;

	if (pending_read(pid, &mask, err))
		return -1;
	sig = pending_fault(mask, in->pending);
	if (!sig)
		return 0;
	return error_set(err, CODE_CRIU, hint_limits,
			 "the restored program would be killed by SIG%s (%s) when it is started",
			 sigabbrev_np(sig), strsignal(sig));
}

/* CRIU has ended and the tasks stand frozen. Return: 0 when they can be started */
static int check_tasks(struct migration *in, struct error *err)
{
	size_t nr;
	pid_t *pids;
	int ret;

	ret = cgroup_wait_frozen(&in->group, err);
	nr = ret ? 0 : cgroup_pids(&in->group, &pids);
	if (!ret && !nr)
		ret = error_set(err, CODE_CRIU, hint_limits,
				"the restored program has died before it was started");
	for (size_t i = 0; i < nr && !ret; i++)
		ret = check_pending(in, pids[i], err) ||
		      /* CRIU leaves its own to a program that has 0 */
		      proc_set_oom_score_adj(pids[i], in->oom_score_adj, err) ? -1 : 0;
	if (nr)
		free(pids);
	return ret;
}

static int fetch_all(struct migration *in, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__FetchAll fetch = MIGRATE__FETCH_ALL__INIT;

	msg.body_case = MIGRATE__CONTROL__BODY_FETCH_ALL;
	msg.fetch_all = &fetch;
	if (control_send(in->ctl, &msg, err) || migration_start_populate(in, err))
		return -1;
	while (!in->verify.complete) {
		Migrate__Control *got = mailbox_expect(&in->box, MIGRATE__CONTROL__BODY_DIGESTS, -1,
							err);
		int ret;

		if (!got)
			return -1;
		ret = verify_add(&in->verify, got->digests, err);
		migrate__control__free_unpacked(got, NULL);
		if (ret)
			return -1;
	}
	return 0;
}

static int wait_memory(struct migration *in, struct error *err)
{
	struct mm *mm = &in->mm;
	bool done;

	mm_lock(mm);
	while (!mm_done(mm) && !mm->failed)
		pthread_cond_wait(&mm->changed, &mm->lock);
	done = mm_done(mm);
	mm_unlock(mm);
	if (mailbox_failed(&in->box, err))
		return -1;
	return done ? 0 : error_set(err, CODE_INTERNAL, NULL, "memory is not complete");
}

static int restore_attributes(struct migration *in, struct error *err)
{
	pid_t pid = verify_host_pid(in->init_pid, in->task.pid);

	if (!pid)
		return error_set(err, CODE_CRIU, NULL, "the restored task is not there");
	if (attributes_restore(&in->attributes, pid, &in->task, &in->group, err))
		return -1;
	return attributes_send(&in->attributes, in->ctl, err);
}

static int restore_streams(struct migration *in, struct error *err)
{
	pid_t pid = verify_host_pid(in->init_pid, in->task.pid);

	return pid ? journal_streams_begin(in->attributes.wanted, pid, err) :
	       error_set(err, CODE_CRIU, NULL, "the restored task is not there");
}

static int verify(struct migration *in, struct error *err)
{
	pid_t pid;

	if (fetch_all(in, err) || wait_memory(in, err))
		return -1;
	pid = verify_host_pid(in->init_pid, in->task.pid);
	if (!pid)
		return error_set(err, CODE_CRIU, NULL, "the restored task is not there");
	place_busy(in->opts->place, BUSY_MS);
	if (verify_task(&in->verify, pid, &in->task, &in->mm.populated, &in->group,
			&in->verified_pages, err))
		return -1;
	place_progress(in->opts->place);
	tell("verified", json_pack("{s:I}", "pages", (json_int_t)in->verified_pages),
	     "verified: %lu pages are the same on both sides", in->verified_pages);
	return 0;
}

static int say_ready(struct migration *in, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Ready ready = MIGRATE__READY__INIT;

	ready.restore_ns = in->restore_ns;
	ready.has_verified_pages = in->verified_pages > 0;
	ready.verified_pages = in->verified_pages;
	msg.body_case = MIGRATE__CONTROL__BODY_READY;
	msg.ready = &ready;
	migration_state(in, "READY");
	return control_send(in->ctl, &msg, err);
}

int migration_restore(struct migration *in, struct error *err)
{
	uint64_t begin = clock_now_ns();
	int rpc_fd = -1, ret;

	if (migration_wait(in, &in->sync.final, FINAL_TIMEOUT_MS, "the end of the lists of pages",
			  err))
		return -1;
	migration_state(in, "RESTORE");
	if (prepare_images(in, err) || spawn(in, &rpc_fd, err))
		return -1;
	if (ptys_prepare(in->images.images_fd, in->init_pid, err)) {
		close(rpc_fd);
		return -1;
	}
	place_busy(in->opts->place, BUSY_MS);
	ret = run_criu(in, rpc_fd, err);
	place_progress(in->opts->place);
	close(rpc_fd);
	/* the marker came before CRIU ended; each userfaultfd was held before it was attached */
	if (ret || migration_wait(in, &in->sync.restored, FINISH_TIMEOUT_MS,
				 "CRIU's mark that all is restored", err))
		return -1;
	if (restore_attributes(in, err) || restore_streams(in, err))
		return -1;
	mm_ready(&in->mm);
	in->restore_ns = clock_now_ns() - begin;
	cost_keep(COST_RESTORE, in->restore_ns);
	if (in->setup->verify && verify(in, err))
		return -1;
	if (mailbox_failed(&in->box, err) || check_tasks(in, err))
		return -1;
	return say_ready(in, err);
}
