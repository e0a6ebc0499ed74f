// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fdpass.h"
#include "dest/migration.h"
#include "dest/precheck.h"
#include "dest/tell.h"
#include "session/cost.h"

#define SETUP_TIMEOUT_MS	20000	/* from the connection to Setup: a place is wanted by others */
#define UNDO_TIMEOUT_MS		120000	/* more than a keeper has that does not answer */
#define POLL_MS			200

static void on_signal(struct migration *in)
{
	struct signalfd_siginfo info;
	struct error err = { 0 };

	if (read(in->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (mailbox_is_committed(&in->box)) {
		tell("warning", NULL,
		     "%s: the program runs here already and needs this process until its memory is complete",
		     strsignal(info.ssi_signo));
		return;
	}
	if (in->opts->place && atomic_load(&in->opts->place->evicted))
		error_set(&err, CODE_ABORTED, "migrate again",
			  "ended for another migration, which needs its place or its memory: nothing came from this source for a while");
	else
		error_set(&err, CODE_ABORTED, NULL, "ended by a signal (%s)",
			  strsignal(info.ssi_signo));
	migration_fail(in, &err);
}

/*
 * The main thread may wait in the kernel for a page that will not come. The keeper ends what was
 * restored when this process ends.
 */
static void end_stuck(struct migration *in, int64_t *failed_ms)
{
	struct error err = { 0 };

	if (mailbox_is_committed(&in->box) || !mailbox_failed(&in->box, &err))
		return;
	if (!*failed_ms)
		*failed_ms = clock_now_ms();
	if (clock_now_ms() - *failed_ms < UNDO_TIMEOUT_MS)
		return;
	tell("warning", NULL, "%s; what was begun could not be ended in order", err.what);
	_exit(err.code);
}

/* Of those that the restore rests on, one may die: then it is given up while it can be. */
static void *watch_body(void *arg)
{
	struct migration *in = arg;
	bool said_keeper = false, said_init = false;
	int64_t failed_ms = 0;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = in->signals, .events = POLLIN },
			{ .fd = said_keeper ? -1 : keeper_fd(in->keeper) },
			{ .fd = said_init ? -1 : atomic_load(&in->init_fd), .events = POLLIN },
		};
		struct error err = { 0 };

		if (poll(fds, 3, POLL_MS) < 0)
			continue;
		end_stuck(in, &failed_ms);
		if (fds[0].revents)
			on_signal(in);
		if (fds[1].revents)
			error_set(&err, CODE_INTERNAL, NULL, "the keeper was killed");
		else if (fds[2].revents)
			error_set(&err, CODE_TARGET, NULL,
				  "the restored program and its namespace were killed");
		said_keeper |= fds[1].revents != 0;
		said_init |= fds[2].revents != 0;
		if (error_is_set(&err) && !mailbox_is_committed(&in->box))
			migration_fail(in, &err);
	}
	return NULL;
}

/* Blocked in every thread that is started from here on. */
static int take_signals(struct migration *in, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	in->signals = signalfd(-1, &set, SFD_CLOEXEC);
	return in->signals < 0 ?
	       error_errno(err, CODE_INTERNAL, NULL, "cannot make a signalfd") : 0;
}

static int start_watch(struct migration *in, struct error *err)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, watch_body, in);
	if (errno)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start a thread");
	pthread_detach(thread);
	return 0;
}

/* Of the time in which a migration must come to Setup; at least 1. */
static int setup_left_ms(const struct migration *in)
{
	int64_t left = in->setup_by_ms - clock_now_ms();

	return left > 1 ? left : 1;
}

static int greet(struct migration *in, struct error *err)
{
	Migrate__Control *got;
	int ret = 0;

	if (control_send_hello(in->ctl, err))
		return -1;
	got = mailbox_expect(&in->box, MIGRATE__CONTROL__BODY_HELLO, setup_left_ms(in), err);
	if (!got)
		return -1;
	if (got->hello->version != PROTOCOL_VERSION)
		ret = error_set(err, CODE_PEER, "install the same version on both machines",
				"the source %s speaks version %u of the protocol, we speak %d",
				got->hello->hostname, got->hello->version, PROTOCOL_VERSION);
	else
		tell("source", json_pack("{s:s,s:s}", "hostname", got->hello->hostname,
						 "software", got->hello->software),
		     "migration from %s (%s)", got->hello->hostname,
		     got->hello->software);
	migrate__control__free_unpacked(got, NULL);
	return ret;
}

/* One connection that the accepting process took for us. Return: -1 on failure, else 0 */
static int take_connection(struct migration *in, struct error *err)
{
	struct serve_conn conn;
	int fds[FDPASS_MAX], ret;
	struct conn *slot;

	ret = fdpass_recv(in->parent_sock, &conn, sizeof(conn), fds, POLL_MS);
	if (ret < 0 && errno == ETIMEDOUT)
		return 0;
	if (ret != 1 || fds[0] < 0)
		return error_set(err, CODE_ABORTED, NULL, "the accepting process has ended");
	slot = conn.kind == CONN_MEMORY ? &in->memory_conn : &in->urgent_conn;
	if (conn_is_open(slot)) {
		close(fds[0]);
		return error_set(err, CODE_PEER, NULL, "the source made a connection twice");
	}
	*slot = (struct conn){ .fd = fds[0], .kind = conn.kind };
	return 0;
}

static int take_connections(struct migration *in, struct error *err)
{
	while (!conn_is_open(&in->memory_conn) || !conn_is_open(&in->urgent_conn)) {
		if (mailbox_failed(&in->box, err) || take_connection(in, err))
			return -1;
		if (setup_left_ms(in) == 1)
			return error_set(err, CODE_NETWORK, NULL,
					 "the source did not make its memory and urgent connections within %d s",
					 SETUP_TIMEOUT_MS / 1000);
	}
	return 0;
}

static int announce(struct migration *in, Migrate__Vma **vmas, size_t nr,
		    struct error *err)
{
	struct mirror_range *ranges;
	size_t nr_ranges;
	bool final;
	int ret;

	/* from the final list on the windows of the mirror stay as they are */
	mailbox_lock(&in->box);
	final = in->sync.final;
	mailbox_unlock(&in->box);
	if (final)
		return error_set(err, CODE_PEER, NULL, "the source sent mappings after FINAL");
	if (precheck_vmas(vmas, nr, &ranges, &nr_ranges, err))
		return -1;
	ret = mm_announce(&in->mm, ranges, nr_ranges, err);
	free(ranges);
	return ret;
}

static int reply(struct migration *in, struct refusals *refusals, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__SetupReply answer = MIGRATE__SETUP_REPLY__INIT;

	answer.ok = !refusals->nr;
	answer.refusals = refusals->text;
	answer.n_refusals = refusals->nr;
	answer.fixed_cost_ns = cost_read(COST_RESTORE);
	answer.has_fixed_cost_ns = answer.fixed_cost_ns > 0;
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP_REPLY;
	msg.setup_reply = &answer;
	for (size_t i = 0; i < refusals->nr; i++)
		tell("refused", json_pack("{s:s}", "reason", refusals->text[i]),
		     "refused: %s", refusals->text[i]);
	if (control_send(in->ctl, &msg, err))
		return -1;
	return answer.ok ? 0 : error_set(err, CODE_REFUSED, NULL, "refused: %s",
					 refusals->text[0]);
}

/* What is looked at later on. The lists are of no use any more, and as long as the source likes. */
static int keep_setup(struct migration *in, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT, *kept;
	Migrate__Setup small = *in->setup;
	uint8_t packed[1024];

	small.n_vmas = small.n_files = small.n_cpu_flags = small.n_unix_servers = 0;
	small.n_addresses = 0;
	small.base.n_unknown_fields = 0;
	small.kernel = small.arch = small.mode = "";
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP;
	msg.setup = &small;
	if (migrate__control__get_packed_size(&msg) > sizeof(packed))
		return error_set(err, CODE_INTERNAL, NULL, "Setup is too long to keep");
	kept = migrate__control__unpack(NULL, migrate__control__pack(&msg, packed), packed);
	if (!kept)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for Setup");
	migrate__control__free_unpacked(in->setup_msg, NULL);
	malloc_trim(0);
	in->setup_msg = kept;
	in->setup = kept->setup;
	return 0;
}

static int setup(struct migration *in, struct error *err)
{
	struct refusals refusals = { .nr = 0 };
	int ret;

	in->setup_msg = mailbox_expect(&in->box, MIGRATE__CONTROL__BODY_SETUP, setup_left_ms(in),
					err);
	if (!in->setup_msg)
		return -1;
	in->setup = in->setup_msg->setup;
	if (precheck_objects(in->setup, err))
		return -1;
	migration_state(in, "SETUP");
	tell("setup", json_pack("{s:i,s:s,s:I}", "pid", in->setup->pid, "comm",
				in->setup->comm, "rss_bytes",
				(json_int_t)in->setup->rss_bytes),
	     "%s (pid %d), %lu MiB", in->setup->comm, in->setup->pid,
	     in->setup->rss_bytes >> 20);
	precheck_setup(in->setup, &in->opts->criu, in->opts->images_base, &refusals);
	ret = refusals.nr ? 0 : announce(in, in->setup->vmas, in->setup->n_vmas, err);
	if (!ret && !refusals.nr)
		ret = budget_announce(&in->budget, BUDGET_MIRROR, in->setup->rss_bytes, err);
	if (!ret)
		ret = keep_setup(in, err);
	if (!ret)
		ret = reply(in, &refusals, err);
	if (!ret)
		place_advance(in->opts->place, PLACE_SETUP);
	precheck_free(&refusals);
	return ret;
}

static int start_threads(struct migration *in, struct error *err)
{
	in->memory.conn = &in->memory_conn;
	in->urgent.conn = &in->urgent_conn;
	in->memory.mm = &in->mm;
	in->memory.object = in->setup->objects[0]->id;
	in->urgent.mm = &in->mm;
	in->urgent.object = in->setup->objects[0]->id;
	in->urgent.urgent = true;
	in->faults.urgent = &in->urgent_conn;
	in->faults.cookie = FRAME_COOKIE(0, in->setup->objects[0]->id);
	in->faults.task_pid = in->setup->pid;
	if (lazy_server_listen(in->images.work_fd, &in->lazy, err) ||
	    faults_expect(&in->faults, in->lazy, err))
		return -1;
	return migration_start_fault(in, err) ? -1 : migration_start_receivers(in, err);
}

static int begin_round(struct migration *in, uint32_t round, struct error *err)
{
	uint32_t begun;

	if (precheck_memory(0, err))
		return -1;
	mailbox_lock(&in->box);
	begun = in->sync.begun;
	if (round == begun + 1 && round <= ROUNDS_MAX)
		in->sync.begun = round;
	pthread_cond_broadcast(&in->box.changed);
	mailbox_unlock(&in->box);
	if (round != begun + 1 || round > ROUNDS_MAX)
		return error_set(err, CODE_PEER, NULL, "the source began round %u after round %u",
				 round, begun);
	place_progress(in->opts->place);
	return 0;
}

/* Only steps that a migration takes a few times are progress: a repeated list keeps no place. */
static int take_message(struct migration *in, const Migrate__Control *msg, bool *go,
			struct error *err)
{
	switch (msg->body_case) {
	case MIGRATE__CONTROL__BODY_MAPS:
		return announce(in, msg->maps->vmas, msg->maps->n_vmas, err);
	case MIGRATE__CONTROL__BODY_ANNOUNCE:
		return budget_announce(&in->budget, BUDGET_MIRROR, msg->announce->memory_bytes,
				       err) ||
		       budget_announce(&in->budget, BUDGET_IMAGES, msg->announce->image_bytes,
				       err) ? -1 : 0;
	case MIGRATE__CONTROL__BODY_ROUND_BEGIN:
		return begin_round(in, msg->round_begin->round, err);
	case MIGRATE__CONTROL__BODY_FROZEN:
		place_progress(in->opts->place);
		mailbox_set(&in->box, &in->sync.frozen);
		return 0;
	case MIGRATE__CONTROL__BODY_IMAGE_FILE:
		place_came(in->opts->place, msg->image_file->data.len);
		return images_take(&in->images, msg->image_file, err);
	case MIGRATE__CONTROL__BODY_RESTORE_GO:
		place_progress(in->opts->place);
		in->announced_files = msg->restore_go->files;
		in->pending = msg->restore_go->pending;
		in->oom_score_adj = msg->restore_go->oom_score_adj;
		*go = true;
		return attributes_take(&in->attributes, msg->restore_go, err);
	default:
		return error_set(err, CODE_PEER, NULL, "message %d was not expected here",
				 msg->body_case);
	}
}

static int receive(struct migration *in, struct error *err)
{
	bool go = false;
	int ret = 0;

	migration_state(in, "RECEIVE");
	while (!go && !ret) {
		Migrate__Control *msg = mailbox_next(&in->box, -1, err);

		if (!msg)
			return -1;
		ret = take_message(in, msg, &go, err);
		migrate__control__free_unpacked(msg, NULL);
	}
	return ret;
}

static int hook_hold(void *ctx, int uffd, int *handle, struct error *err)
{
	struct migration *in = ctx;

	return keeper_hold(in->keeper, uffd, handle, err);
}

static void hook_release(void *ctx, int handle)
{
	struct migration *in = ctx;

	keeper_release(in->keeper, handle);
}

static int hook_watch(void *ctx, struct space *space, bool on, struct error *err)
{
	struct migration *in = ctx;

	return faults_watch(&in->faults, space, on, err);
}

static void hook_restored(void *ctx)
{
	struct migration *in = ctx;

	mailbox_set(&in->box, &in->sync.restored);
}

static void hook_failed(void *ctx, const struct error *err)
{
	migration_fail(ctx, err);
}

static int prepare(struct migration *in, int control_fd, struct error *err)
{
	struct mm_hooks hooks = {
		.hold = hook_hold, .release = hook_release, .watch = hook_watch, .ctx = in,
	};

	if (mm_init(&in->mm, &hooks, err))
		return -1;
	in->has_memory = true;
	in->mm.place = in->opts->place;
	budget_init(&in->budget, in->opts->places, in->opts->place);
	in->mm.mirror.budget = in->images.budget = in->verify.budget = &in->budget;
	in->faults.mm = &in->mm;
	in->faults.hooks = (struct faults_hooks){
		.restored = hook_restored, .failed = hook_failed, .ctx = in,
	};
	if (faults_init(&in->faults, err) || start_watch(in, err))
		return -1;
	in->ctl = control_new(&(struct conn){ .fd = control_fd }, COURSE_DEST, err);
	if (!in->ctl || keeper_speak(in->keeper, control_fd, err))
		return -1;
	return migration_start_control(in, err);
}

/*
 * Nothing was started, and nothing may stay. The source hears of it when that is so: then the
 * program can go on there, whatever the source has recorded.
 */
static int undo(struct migration *in, struct error *err)
{
	struct error first = { 0 }, why = { 0 };
	bool gone = true, alone;

	/* what the state machine saw may only be a consequence */
	if (mailbox_failed(&in->box, &first))
		*err = first;
	alone = keeper_abort(in->keeper, &why);
	if (alone)
		gone = keeper_undo(in->keeper, in->init_fd);
	if (!gone)
		tell("warning", NULL, "what was restored is still there: %s", why.what);
	if (in->ctl)
		control_send_abort(in->ctl, err, gone);
	/* the source does not wait for the rest of it */
	if (!alone && keeper_said(in->keeper, &why))
		keeper_undo(in->keeper, in->init_fd);
	migration_stop_threads(in);
	tell_result(err, NULL);
	return err->code;
}

/* Nothing was begun that would have to be undone. */
static int turn_down(int control_fd, const struct error *why)
{
	struct error ignored = { 0 };
	struct control *ctl = control_new(&(struct conn){ .fd = control_fd }, COURSE_DEST, &ignored);

	if (ctl)
		control_send_abort(ctl, why, true);
	tell_result(why, NULL);
	return why->code;
}

int migration_run(int control_fd, int parent_sock, const uint8_t *id, const char *peer,
		 const struct serve_options *opts)
{
	struct migration *in = calloc(1, sizeof(*in));
	struct error err = { 0 };
	bool undone = true;
	int code = -1;

	if (!in)
		return CODE_INTERNAL;
	in->opts = opts;
	in->parent_sock = parent_sock;
	in->memory_conn = in->urgent_conn = CONN_NONE;
	in->init_fd = -1;
	in->setup_by_ms = clock_now_ms() + SETUP_TIMEOUT_MS;
	migration_sync_init(in);
	/* the keeper is forked before any thread, and removes what was made before */
	if (take_signals(in, &err) || images_make(&in->images, opts->images_base, id, &err))
		return turn_down(control_fd, &err);
	tell_migration(in->images.id);
	migration_plan_group(in);
	in->keeper = keeper_start(&in->images.dir, &in->group, &err);
	if (!in->keeper) {
		owned_dir_remove(&in->images.dir);
		return turn_down(control_fd, &err);
	}
	migration_state(in, "ACCEPT");
	if (!prepare(in, control_fd, &err) && !greet(in, &err) && !take_connections(in, &err) &&
	    !setup(in, &err) && !start_threads(in, &err) && !receive(in, &err) &&
	    !migration_restore(in, &err))
		code = migration_takeover(in, &undone, &err);
	if (undone)
		code = undo(in, &err);
	/* the process ends here: only what others can see is taken down in order */
	if (in->ctl)
		control_shutdown(in->ctl);
	return code;
}
