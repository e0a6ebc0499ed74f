// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "os/pending.h"
#include "source/attributes.h"
#include "source/migrate.h"
#include "source/outgoing.h"
#include "base/report.h"

#define HELLO_TIMEOUT_MS	10000

/* Rather now than when all is done. */
static int check_result_file(const char *path, struct error *err)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;

	if (path && fd < 0)
		return error_errno(err, CODE_USAGE,
				   "give --result a file in a directory that exists",
				   "cannot write the result to %s", path);
	if (path)
		close(fd);
	return 0;
}

static int start_keeper(struct outgoing *out, struct error *err)
{
	struct record *record = calloc(1, sizeof(*record));

	if (!record)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
	record->start_ticks = out->target.start_ticks;
	record->guard = out->guard;
	snprintf(record->to, sizeof(record->to), "%s", out->opts->to);
	out->keeper = source_keeper_start(record, out->dir.path, err);
	free(record);
	return out->keeper ? 0 : -1;
}

/* What can be known without the destination. */
static int prepare(struct outgoing *out, struct error *err)
{
	const struct migrate_options *opts = out->opts;
	pid_t pid = opts->pid;

	if (conn_check_where(opts->to, opts->insecure, err) ||
	    check_result_file(opts->result, err))
		return -1;
	if (pid == getpid() || getrandom(out->id, sizeof(out->id), 0) != sizeof(out->id))
		return error_set(err, CODE_USAGE, NULL, "process %d cannot be migrated", pid);
	for (size_t i = 0; i < sizeof(out->id); i++)
		sprintf(out->id_text + 2 * i, "%02x", out->id[i]);
	if (proc_status_read(pid, &out->target, err) ||
	    guard_plan(&out->guard, pid, out->target.state == 'T', out->id_text, err) ||
	    workdir_plan(&out->dir, opts->images_base, out->id_text, err))
		return -1;
	/* before there is a thread, or a connection that it would keep open */
	if (start_keeper(out, err) || outgoing_sync_init(out, err) ||
	    criu_version_get(&out->criu, err) || outgoing_refuse(out, err) ||
	    outgoing_choose_backend(out, err) ||
	    (out->backend->criu_tracks ? criu_check(err) : criu_check_restore(err)) ||
	    workdir_make(&out->dir, err))
		return -1;
	if (page_set_init(&out->there) || page_set_init(&out->left) ||
	    page_set_init(&out->populated))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a page set");
	return outgoing_start_watch(out, err);
}

static int hello(struct outgoing *out, struct error *err)
{
	Migrate__Control *got;
	int ret = 0;

	if (control_send_hello(out->ctl, err))
		return -1;
	got = control_expect(out->ctl, MIGRATE__CONTROL__BODY_HELLO, HELLO_TIMEOUT_MS, err);
	if (!got)
		return -1;
	if (got->hello->version != PROTOCOL_VERSION)
		ret = error_set(err, CODE_PEER, "install the same version on both machines",
				"%s speaks version %u of the protocol, this is version %d",
				got->hello->hostname, got->hello->version, PROTOCOL_VERSION);
	else
		report_say("connected to %s (%s)", got->hello->hostname, got->hello->software);
	migrate__control__free_unpacked(got, NULL);
	return ret;
}

static int connect_all(struct outgoing *out, struct error *err)
{
	const char *to = out->opts->to;
	int fd = conn_connect(to, CONN_CONTROL, out->id, err);

	if (fd < 0)
		return -1;
	out->ctl = control_new(fd, COURSE_SOURCE, err);
	if (!out->ctl || hello(out, err))
		return -1;
	out->memory_fd = conn_connect(to, CONN_MEMORY, out->id, err);
	if (out->memory_fd < 0)
		return -1;
	out->urgent_fd = conn_connect(to, CONN_URGENT, out->id, err);
	if (out->urgent_fd < 0)
		return -1;
	if (sender_init(&out->memory, out->backend, out->memory_fd, out->target.ns_pid, &out->there,
			err) ||
	    sender_init(&out->urgent, out->backend, out->urgent_fd, out->target.ns_pid, NULL, err))
		return -1;
	/* nothing is asked for before the program stands */
	out->urgent.frozen = true;
	return outgoing_start_threads(out, outgoing_urgent_run, err);
}

static int wait_final_ack(struct outgoing *out, struct error *err)
{
	Migrate__Control *msg = mailbox_expect(&out->box, MIGRATE__CONTROL__BODY_FINAL_ACK, -1, err);

	if (!msg)
		return -1;
	out->figures.left_pages = msg->final_ack->want_pages;
	migrate__control__free_unpacked(msg, NULL);
	return 0;
}

/* With --verify the destination first asks for all there is. */
static int wait_ready(struct outgoing *out, struct error *err)
{
	bool ready = false;
	int ret = 0;

	while (!ready && !ret) {
		Migrate__Control *msg = mailbox_next(&out->box, -1, err);

		if (!msg)
			return -1;
		if (msg->body_case == MIGRATE__CONTROL__BODY_READY) {
			out->figures.restore_ns = msg->ready->restore_ns;
			out->figures.verified_pages = msg->ready->verified_pages;
			ready = true;
		} else if (msg->body_case == MIGRATE__CONTROL__BODY_FETCH_ALL &&
			   out->verify) {
			report_progress("comparing the memory of both sides");
			ret = outgoing_push(out, err) || outgoing_send_digests(out, err) ? -1 : 0;
		} else if (msg->body_case == MIGRATE__CONTROL__BODY_ATTRIBUTES) {
			source_attributes_take_answer(msg->attributes, &out->losses);
			ret = losses_refused(&out->losses, err);
		} else {
			ret = error_set(err, CODE_PEER, NULL,
					"the destination sent message %d instead of Ready",
					msg->body_case);
		}
		migrate__control__free_unpacked(msg, NULL);
	}
	return ret;
}

static int send_empty(struct outgoing *out, Migrate__Control__BodyCase body, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Commit empty = MIGRATE__COMMIT__INIT;
	Migrate__Killed killed = MIGRATE__KILLED__INIT;

	msg.body_case = body;
	if (body == MIGRATE__CONTROL__BODY_COMMIT)
		msg.commit = &empty;
	else
		msg.killed = &killed;
	return control_send(out->ctl, &msg, err);
}

/* Up to the record: whatever fails is undone. */
static int until_commit(struct outgoing *out, struct error *err)
{
	bool recorded;
	int left_ms;

	if (prepare(out, err) || outgoing_state(out, "CONNECT", err) || connect_all(out, err) ||
	    outgoing_state(out, "SETUP", err) || outgoing_setup(out, err) ||
	    outgoing_state(out, "PRECOPY", err) || outgoing_precopy(out, err) ||
	    outgoing_freeze(out, err) || outgoing_state(out, "FREEZE", err) ||
	    outgoing_final(out, err) || outgoing_state(out, "IMAGES", err) ||
	    outgoing_send_images(out, err) || wait_final_ack(out, err) || wait_ready(out, err) ||
	    outgoing_state(out, "COMMIT", err))
		return -1;
	/* from here on a lost link helps nobody: all the time it wants to come back */
	control_set_lost(out->ctl, 0);
	left_ms = outgoing_left_ms(out);
	if (outgoing_commit(out, err))
		return -1;
	outgoing_limit(out, 0);
	if (!source_keeper_commit(out->keeper, left_ms, &recorded, err) || recorded)
		return 0;
	mailbox_uncommit(&out->box);
	return -1;
}

/* @died: set when the destination says that the program was killed after it was started */
static int run_there(struct outgoing *out, bool *died, struct error *err)
{
	struct error push_err = { 0 }, lost = { 0 }, ignored = { 0 };
	Migrate__Control *msg;

	outgoing_state(out, "RECORDED", &ignored);
	/* a destination that died before it may have said so */
	if (send_empty(out, MIGRATE__CONTROL__BODY_COMMIT, &lost))
		outgoing_fail(out, &lost);
	outgoing_state(out, "SENT", &ignored);
	msg = outgoing_verdict(out, err);
	if (!msg)
		return -1;
	migrate__control__free_unpacked(msg, NULL);
	out->figures.frozen_ns = figures_now() - out->frozen_at_ns;
	report_say("the program runs there; it stood for %.3f s", out->figures.frozen_ns / 1e9);
	/* a message that came before a failure counts, so failures are looked at with the queue only */
	outgoing_state(out, "POSTCOPY", &ignored);
	/* whether a broken connection matters is for the destination to say: it may have all */
	if (outgoing_push(out, &push_err) && push_err.code != CODE_NETWORK)
		outgoing_fail(out, &push_err);
	msg = mailbox_next(&out->box, -1, err);
	*died = msg && msg->body_case == MIGRATE__CONTROL__BODY_DIED;
	if (*died)
		error_set(err, CODE_TARGET, NULL,
			  "the program was killed there by signal %u (%s), after it was started",
			  msg->died->signal, sigdescr_np(msg->died->signal) ?: "unknown");
	msg = control_expected(msg, MIGRATE__CONTROL__BODY_DONE, err);
	if (!msg)
		return -1;
	out->figures.precopy_pages = msg->done->precopy_pages;
	out->figures.push_pages = msg->done->push_pages;
	out->figures.fault_pages = msg->done->fault_pages;
	out->figures.zero_pages = msg->done->zero_pages;
	out->figures.image_pages = msg->done->image_pages;
	out->figures.faults = msg->done->faults;
	migrate__control__free_unpacked(msg, NULL);
	return 0;
}

/* The program is complete there. */
static int end_here(struct outgoing *out, struct error *err)
{
	struct error ignored = { 0 };

	outgoing_stop_watch(out);
	if (source_keeper_kill(out->keeper, &ignored) && guard_kill(&out->guard, err))
		return -1;
	/* CRIU traces the threads: until it dies, dead ones cannot go, nor the process */
	criu_dump_kill(out->dump);
	out->dump = NULL;
	if (guard_wait_dead(&out->guard, err))
		return -1;
	guard_forget(&out->guard);
	source_keeper_end(out->keeper, false);
	out->keeper = NULL;
	/* it may have gone already, having all it needs */
	send_empty(out, MIGRATE__CONTROL__BODY_KILLED, &ignored);
	outgoing_state(out, "DONE", &ignored);
	return 0;
}

/*
 * What a person can do when it is in doubt whether the program runs there.
 * @died: the destination said that the program was started, and has been killed since
 */
static void doubt_hint(struct outgoing *out, bool died, char *hint, size_t size)
{
	pid_t pid = out->opts->pid;

	if (guard_wait_end(&out->guard, 0))
		snprintf(hint, size, "it is lost here; look whether it runs at %s", out->opts->to);
	else if (died)
		snprintf(hint, size,
			 "\"migrate-helper release --pid %d --force\" lets it go on here, as it was when it moved",
			 pid);
	else
		snprintf(hint, size,
			 "look whether it runs at %s; if not, \"migrate-helper release --pid %d --force\" lets it go on here",
			 out->opts->to, pid);
}

/* Both sides stay as they are; nothing here may let the program run. */
static int doubt(struct outgoing *out, bool died, struct error *err)
{
	char what[sizeof(err->what)], hint[sizeof(err->hint)];
	const char *stays = "stays stopped here";

	figures_thawed(&out->figures, out->frozen_at_ns);
	if (!died)
		mailbox_failed(&out->box, err);
	memcpy(what, err->what, sizeof(what));
	memset(err, 0, sizeof(*err));
	doubt_hint(out, died, hint, sizeof(hint));
	if (guard_wait_end(&out->guard, 0))
		stays = "its process here was killed";
	error_set(err, CODE_DOUBT, hint, "%.240s; the program was handed over and %s (process %d)",
		  what, stays, out->opts->pid);
	return err->code;
}

/* Only the keeper, which is dead, knew whether it had to stop the program by a signal. */
static bool is_stopped_by_signal(const struct outgoing *out)
{
	struct error ignored = { 0 };
	struct proc_status status;
	uint64_t mask;

	if (cgroup_exists(&out->guard.group))
		return false;
	/* while CRIU traces it the signal waits */
	return (!pending_read(out->opts->pid, &mask, &ignored) && pending_has(mask, SIGSTOP)) ||
	       (!proc_status_read(out->opts->pid, &status, &ignored) && status.state == 'T');
}

static void let_run(struct outgoing *out)
{
	struct error why = { 0 };

	outgoing_watch_dump(out, -1);
	/* CRIU needs the program able to run to take its own code out of it */
	if (out->guarded && source_keeper_unguard(out->keeper, &why)) {
		out->guard.signalled = is_stopped_by_signal(out);
		memset(&why, 0, sizeof(why));
		guard_off(&out->guard, &why);
	}
	if (criu_dump_refuse(out->dump, &why) || error_is_set(&why))
		report_say("the program may not be as it was: %s", why.what);
	out->dump = NULL;
	figures_thawed(&out->figures, out->frozen_at_ns);
}

/* Before COMMIT: the program goes on here, first of all. */
static int undo(struct outgoing *out, struct error *err)
{
	if (out->dump)
		let_run(out);
	outgoing_reason(out, err);
	if (out->ctl)
		control_send_abort(out->ctl, err, false);
	if (out->has_watch)
		outgoing_stop_watch(out);
	source_keeper_end(out->keeper, err->code == CODE_CRIU);
	out->keeper = NULL;
	/* when the keeper was killed */
	guard_forget(&out->guard);
	return err->code;
}

/*
 * The destination knows that nothing of the program ever ran there, and that nothing of it is
 * left: then the program goes on here, although COMMIT was recorded.
 */
static int take_back(struct outgoing *out, struct error *err)
{
	struct error why = { 0 };

	if (source_keeper_uncommit(out->keeper, &why)) {
		*err = why;
		return doubt(out, false, err);
	}
	mailbox_uncommit(&out->box);
	return undo(out, err);
}

static int run(struct outgoing *out, struct error *err)
{
	int code = CODE_OK;
	bool died = false;

	if (until_commit(out, err))
		return undo(out, err);
	memset(err, 0, sizeof(*err));
	if (run_there(out, &died, err))
		return control_is_unstarted(out->ctl) ? take_back(out, err) :
		       doubt(out, died, err);
	if (end_here(out, err))
		code = err->code;
	out->figures.moved = true;
	out->figures.total_ns = figures_now() - out->figures.started_ns;
	outgoing_keep_cost(out);
	return code;
}

static void outgoing_destroy(struct outgoing *out)
{
	if (out->has_control || out->has_urgent)
		outgoing_stop_threads(out);
	control_close(out->ctl);
	if (out->memory_fd >= 0)
		close(out->memory_fd);
	if (out->urgent_fd >= 0)
		close(out->urgent_fd);
	sender_destroy(&out->memory);
	sender_destroy(&out->urgent);
	backend_close(out->backend);
	page_set_destroy(&out->there);
	page_set_destroy(&out->left);
	page_set_destroy(&out->populated);
	maps_free(&out->vmas);
	criu_task_free(&out->task);
	workdir_close(&out->dir);
	figures_free(&out->figures);
	losses_free(&out->losses);
	reconnects_free(&out->reconnects);
	terminals_free(&out->terminals);
	mailbox_destroy(&out->box);
}

int migrate_main(int argc, char **argv)
{
	struct migrate_options opts;
	struct error err = { 0 };
	struct outgoing *out;
	int code = migrate_options_parse(argc, argv, &opts);

	if (code >= 0)
		return code;
	report_init(opts.json);
	out = calloc(1, sizeof(*out));
	if (!out)
		return CODE_INTERNAL;
	out->opts = &opts;
	out->memory_fd = out->urgent_fd = -1;
	out->mode = opts.mode;
	out->dir.images_fd = out->dir.work_fd = out->dir.parent_fd = -1;
	out->figures.started_ns = figures_now();
	out->figures.losses = &out->losses;
	out->losses.accepted = opts.accepted_losses;
	pthread_mutex_init(&out->left_lock, NULL);
	code = run(out, &err);
	if (error_is_set(&err))
		report_error(&err);
	figures_say_result(&out->figures, &err, opts.pid, out->target.comm,
			   migrate_mode_name(out->mode), opts.result);
	outgoing_destroy(out);
	free(out);
	return code;
}
