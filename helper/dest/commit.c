// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/text.h"
#include "dest/commit.h"
#include "dest/huge.h"
#include "dest/parent.h"
#include "dest/spaces.h"
#include "dest/tell.h"

#define POLL_MS			100	/* how often failures and ended tasks are looked for */
#define KILLED_TIMEOUT_MS	15000
#define ENDED_TIMEOUT_MS	30000	/* an init that is slow, or stopped */
#define OTHERS_MS		1000	/* what is killed with the root has ended by then */

#define COMMIT_MORE_S		10

enum outcome { OUTCOME_DONE, OUTCOME_ENDED, OUTCOME_LOST };

static int send_started(struct commit *commit, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Started started = MIGRATE__STARTED__INIT;

	started.has_pid = true;
	started.pid = program_root_pid(commit->program);
	msg.body_case = MIGRATE__CONTROL__BODY_STARTED;
	msg.started = &started;
	return control_send(commit->peer->ctl, &msg, err);
}

/*
 * Memory counts as complete too when its process has gone, or has called exec. The init, which
 * knows how the root ended, ends a moment later, unless there is another process. The source
 * stands until Done: it does not wait for processes that just live on.
 */
static enum outcome complete(struct commit *commit)
{
	const struct program *program = commit->program;
	bool gone = spaces_is_gone(objects_mm_of(commit->objects, program->root));
	int others_ms = 0;

	for (int ms = 0; gone && ms < ENDED_TIMEOUT_MS; ms += POLL_MS) {
		if (program_has_ended(program, POLL_MS) || program_root_lives(program))
			break;
		others_ms = program_others_live(program) ? others_ms + POLL_MS : 0;
		if (others_ms >= OTHERS_MS)
			break;
	}
	return program_has_ended(program, 0) ? OUTCOME_ENDED : OUTCOME_DONE;
}

/* What lost memory that neither end has, and is to end for it: dest/lost_pages.h. */
static void end_lost(struct commit *commit)
{
	pid_t pid;

	while ((pid = objects_next_to_end(commit->objects))) {
		tell("killed", json_pack("{s:i}", "pid", pid),
		     "process %d is killed: memory of it was lost at the source", pid);
		program_kill(commit->program, pid);
	}
}

/* Wait for the memory, for the end of the tasks, or, unless @patient, for a failure. */
static enum outcome wait_complete(struct commit *commit, bool patient)
{
	struct error ignored = { 0 };

	for (;;) {
		end_lost(commit);
		if (objects_wait(commit->objects, POLL_MS))
			return complete(commit);
		if (program_has_ended(commit->program, 0))
			return OUTCOME_ENDED;
		if (!patient && mailbox_failed(&commit->peer->box, &ignored))
			return OUTCOME_LOST;
	}
}

static json_t *result_json(struct commit *commit)
{
	struct fault_times times;
	struct counts counts;
	json_t *result;

	objects_counts(commit->objects, &counts);
	objects_fault_times(commit->objects, &times);
	result = counts_json(&counts);
	json_object_update_new(result, fault_times_json(&times));
	if (commit->lost.nr)
		json_object_set_new(result, "lost", lost_json(&commit->lost));
	json_object_update_new(result, json_pack("{s:i,s:I,s:I}",
						 "pid", program_root_pid(commit->program),
						 "restore_ns", (json_int_t)commit->restore_ns,
						 "verified_pages",
						 (json_int_t)commit->verified_pages));
	return result;
}

static int say_done(struct commit *commit, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Done done = MIGRATE__DONE__INIT;
	struct fault_times_message waited;
	struct fault_times times;
	struct counts counts;
	int ret;

	objects_counts(commit->objects, &counts);
	counts_to_done(&counts, &done);
	objects_fault_times(commit->objects, &times);
	fault_times_pack(&times, &waited);
	done.fault_times = &waited.times;
	done.lost = lost_pack(&commit->lost);
	done.n_lost = done.lost ? commit->lost.nr : 0;
	msg.body_case = MIGRATE__CONTROL__BODY_DONE;
	msg.done = &done;
	ret = control_send(commit->peer->ctl, &msg, err);
	lost_pack_free(done.lost);
	return ret;
}

/* All is here, or nobody is left who could lack it: nothing needs us or the keeper now. */
static int let_go(struct commit *commit)
{
	struct error err = { 0 };
	uint64_t orphans;
	int signal;

	commit->stop(commit->ctx);
	objects_close_uffds(commit->objects);
	orphans = objects_orphans(commit->objects);
	if (orphans)
		tell("warning", json_pack("{s:I}", "orphan_pages", (json_int_t)orphans),
		     "%s had no place in the restored program",
		     text_count(orphans, "page", "pages").text);
	if (keeper_done(commit->keeper, &signal, &err)) {
		tell("warning", NULL, "%s", err.what);
		keeper_clean_up(commit->dir, commit->program->init_fd);
	}
	return signal;
}

/* The accepting process shall not wait for us, nor who reads our output. */
static void go_behind(struct commit *commit, int code)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* for as long as the program lives, perhaps: others shall have the place */
	parent_say_ended(commit->parent_sock, code,
			 !commit->places || !places_detach(commit->places));
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	setsid();
}

/* The result is said. Only then are huge pages made: that is for nobody to wait for. */
static void make_huge(struct commit *commit, int code)
{
	if (!huge_is_wanted(commit->program))
		return;
	go_behind(commit, code);
	huge_make(commit->program);
}

static int finish(struct commit *commit, struct error *err)
{
	Migrate__Control *killed;

	peer_state(commit->peer, "DONE");
	if (say_done(commit, err))
		goto doubt;
	killed = mailbox_expect(&commit->peer->box, MIGRATE__CONTROL__BODY_KILLED, KILLED_TIMEOUT_MS, err);
	if (!killed)
		goto doubt;
	migrate__control__free_unpacked(killed, NULL);
	lost_error(&commit->lost, false, err);
	tell_result(err, result_json(commit));
	return err->code;

doubt:
	err->code = CODE_OK;
	error_set(err, CODE_DOUBT, "end the stopped program at the source if it is still there",
		  "the program runs here and is complete, but the source did not say that it ended its own");
	tell_result(err, result_json(commit));
	return CODE_DOUBT;
}

/*
 * It ran, and was killed before all of its memory had come: the source's copy is older, but whole, unless
 * memory was lost there.
 * @signal: -1: nobody knows how it ended, so the source's copy is not ended
 */
static int died(struct commit *commit, int signal, struct error *err)
{
	static const char hint[] = "at the source it stands as it was when it moved";
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Died body = MIGRATE__DIED__INIT;
	struct error ignored = { 0 };

	/* 0: nobody knows how it ended */
	body.signal = signal > 0 ? signal : 0;
	msg.body_case = MIGRATE__CONTROL__BODY_DIED;
	msg.died = &body;
	body.lost = lost_pack(&commit->lost);
	body.n_lost = body.lost ? commit->lost.nr : 0;
	if (commit->lost.nr)
		lost_error(&commit->lost, true, err);
	else if (signal > 0)
		error_set(err, CODE_TARGET, hint,
			  "the program was killed by signal %d (%s) after it was started here",
			  signal, strsignal(signal));
	else
		error_set(err, CODE_TARGET, hint,
			  "the program has ended here after it was started, and its keeper, which would know how, was killed");
	control_send(commit->peer->ctl, &msg, &ignored);
	lost_pack_free(body.lost);
	tell_result(err, result_json(commit));
	return err->code;
}

/* The pages of a child that waits for lost memory would read as zeros without its userfaultfd. */
static void hold_on(struct commit *commit)
{
	while (objects_lack_lost(commit->objects) && !program_has_ended(commit->program, POLL_MS))
		;
}

/* After COMMIT nothing is undone: serve what is here for as long as the tasks live. */
static int lost(struct commit *commit, struct error *err)
{
	uint64_t missing = objects_wanted(commit->objects);

	mailbox_failed(&commit->peer->box, err);
	err->code = CODE_DOUBT;
	if (missing)
		snprintf(err->hint, sizeof(err->hint),
			 "the program waits only where it touches what is still at the source, %s; it stays as it is",
			 text_count(missing, "page", "pages").text);
	tell_result(err, result_json(commit));
	control_shutdown(commit->peer->ctl);
	/* the thread that takes the faults of all processes asks there */
	commit->link_lost(commit->ctx);
	if (missing)
		go_behind(commit, CODE_DOUBT);
	wait_complete(commit, true);
	hold_on(commit);
	let_go(commit);
	return CODE_DOUBT;
}

/* All is here that can come, and a child that was forked here lacks what cannot. */
static int finish_behind(struct commit *commit, struct error *err)
{
	int code = finish(commit, err);

	control_shutdown(commit->peer->ctl);
	go_behind(commit, code);
	hold_on(commit);
	let_go(commit);
	return code;
}

/*
 * From here on failures undo nothing, but for one: tasks that are dead cannot be started.
 * Return: 0 when the program runs, -1 when nothing of it ever did
 */
static int start_tasks(struct commit *commit, struct error *err)
{
	bool started;

	if (peer_commit(commit->peer, err))
		return -1;
	if (ledger_set(commit->ledger, LEDGER_COMMITTED, err))
		return -1;
	peer_state(commit->peer, "COMMITTED");
	if (program_has_ended(commit->program, 0))
		return error_set(err, CODE_TARGET, NULL,
				 "the restored program was killed before it was started");
	if (shm_name(commit->shm, err) ||
	    keeper_commit(commit->keeper, commit->program->nr, &started, err))
		return -1;
	shm_end(commit->shm);
	parent_say_committed(commit->parent_sock);
	return 0;
}

/* The source gives up after --max-frozen, which began before Ready: this is long enough. */
static int commit_timeout_ms(const struct commit *commit)
{
	return (commit->max_frozen_s + COMMIT_MORE_S) * 1000;
}

/* What has ended is told to the source before. */
static int note_end(struct commit *commit, int code)
{
	struct error err = { 0 };

	if (ledger_set(commit->ledger, program_has_ended(commit->program, 0) ? LEDGER_ENDED : LEDGER_DONE, &err))
		tell("warning", NULL, "%s", err.what);
	return code;
}

/* COMMIT has come, and the program runs. Return: enum exit_code */
static int serve_pages(struct commit *commit, struct error *err)
{
	enum outcome outcome;
	int signal, code;

	budget_drop_images(commit->budget);
	if (send_started(commit, err))
		peer_fail(commit->peer, err);
	peer_state(commit->peer, "FAULTS");
	memset(err, 0, sizeof(*err));
	if (populate_start(commit->populate, err))
		peer_fail(commit->peer, err);
	outcome = wait_complete(commit, false);
	objects_lost(commit->objects, &commit->lost);
	if (outcome == OUTCOME_LOST)
		return lost(commit, err);
	if (outcome == OUTCOME_DONE && objects_lack_lost(commit->objects))
		return finish_behind(commit, err);
	if (outcome == OUTCOME_ENDED)
		tell("ended", NULL, "the program has ended here already");
	signal = let_go(commit);
	if (outcome == OUTCOME_ENDED && signal)
		return died(commit, signal, err);
	code = finish(commit, err);
	if (code != CODE_DOUBT)
		make_huge(commit, code);
	return code;
}

int commit_run(struct commit *commit, bool *undo, struct error *err)
{
	Migrate__Control *msg = mailbox_expect(&commit->peer->box, MIGRATE__CONTROL__BODY_COMMIT,
						commit_timeout_ms(commit), err);

	if (!msg)
		return -1;
	migrate__control__free_unpacked(msg, NULL);
	if (start_tasks(commit, err))
		return -1;
	*undo = false;
	return note_end(commit, serve_pages(commit, err));
}
