// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fdpass.h"
#include "dest/migration.h"
#include "dest/tell.h"
#include "os/proc.h"

#define POLL_MS			100	/* how often failures and ended tasks are looked for */
#define KILLED_TIMEOUT_MS	15000
#define ENDED_TIMEOUT_MS	30000	/* an init that is slow, or stopped */

#define MAX_FROZEN_S		86400	/* most that --max-frozen takes */
#define COMMIT_MORE_S		10

enum outcome { OUTCOME_DONE, OUTCOME_ENDED, OUTCOME_LOST };

static int send_empty(struct migration *in, Migrate__Control__BodyCase body, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Started started = MIGRATE__STARTED__INIT;

	msg.body_case = body;
	msg.started = &started;
	return control_send(in->ctl, &msg, err);
}

static bool init_ended(const struct migration *in)
{
	struct pollfd poll_in = { .fd = in->init_fd, .events = POLLIN };

	return poll(&poll_in, 1, 0) > 0;
}

/* A process that is about to end has no memory any more. */
static bool root_lives(const struct migration *in)
{
	pid_t pid = verify_host_pid(in->init_pid, in->task.pid);
	struct error ignored = { 0 };
	struct proc_status status;

	return pid && !proc_status_read(pid, &status, &ignored) && status.rss_bytes;
}

/*
 * Memory counts as complete too when its process has gone, or has called exec. The init, which
 * knows how the process ended, ends a moment later, unless there is another process.
 */
static enum outcome complete(struct migration *in)
{
	struct pollfd init = { .fd = in->init_fd, .events = POLLIN };
	bool gone;

	mm_lock(&in->mm);
	gone = in->mm.spaces[0]->gone;
	mm_unlock(&in->mm);
	for (int ms = 0; gone && ms < ENDED_TIMEOUT_MS; ms += POLL_MS)
		if (poll(&init, 1, POLL_MS) > 0 || root_lives(in))
			break;
	return poll(&init, 1, 0) > 0 ? OUTCOME_ENDED : OUTCOME_DONE;
}

/* Wait for the memory, for the end of the tasks, or, unless @patient, for a failure. */
static enum outcome wait_complete(struct migration *in, bool patient)
{
	struct mm *mm = &in->mm;
	struct error ignored = { 0 };

	for (;;) {
		struct timespec until = clock_in_ms(CLOCK_MONOTONIC, POLL_MS);
		bool done;

		mm_lock(mm);
		if (!mm_done(mm))
			pthread_cond_timedwait(&mm->changed, &mm->lock, &until);
		done = mm_done(mm);
		mm_unlock(mm);
		if (done)
			return complete(in);
		if (init_ended(in))
			return OUTCOME_ENDED;
		if (!patient && mailbox_failed(&in->box, &ignored))
			return OUTCOME_LOST;
	}
}

static json_t *counts_json(const struct migration *in)
{
	const struct mm_counts *counts = &in->mm.counts;
	uint64_t precopy = counts->from_mirror > counts->late ? counts->from_mirror - counts->late : 0;

	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
			 "precopy_pages", (json_int_t)precopy,
			 "push_pages", (json_int_t)counts->push,
			 "fault_pages", (json_int_t)counts->fault,
			 "zero_pages", (json_int_t)counts->zero,
			 "faults", (json_int_t)counts->faults,
			 "image_pages", (json_int_t)counts->image,
			 "restore_ns", (json_int_t)in->restore_ns,
			 "verified_pages", (json_int_t)in->verified_pages);
}

static int say_done(struct migration *in, struct error *err)
{
	const struct mm_counts *counts = &in->mm.counts;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Done done = MIGRATE__DONE__INIT;

	done.precopy_pages = counts->from_mirror > counts->late ? counts->from_mirror - counts->late :
			     0;
	done.push_pages = counts->push;
	done.fault_pages = counts->fault;
	done.zero_pages = counts->zero;
	done.faults = counts->faults;
	done.image_pages = counts->image;
	msg.body_case = MIGRATE__CONTROL__BODY_DONE;
	msg.done = &done;
	return control_send(in->ctl, &msg, err);
}

/* All is here, or nobody is left who could lack it: nothing needs us or the keeper now. */
static int let_go(struct migration *in)
{
	struct error err = { 0 };
	uint64_t orphans = 0;
	int signal;

	migration_stop_threads(in);
	mm_close_uffds(&in->mm);
	for (size_t i = 0; i < in->mm.nr_spaces; i++)
		orphans += in->mm.spaces[i]->gone ? 0 : in->mm.spaces[i]->orphans;
	if (orphans)
		tell("warning", json_pack("{s:I}", "orphan_pages", (json_int_t)orphans),
		     "%lu pages had no place in the restored program", orphans);
	if (keeper_done(in->keeper, &signal, &err)) {
		tell("warning", NULL, "%s", err.what);
		keeper_clean_up(&in->images.dir, in->init_fd);
	}
	return signal;
}

static int finish(struct migration *in, struct error *err)
{
	Migrate__Control *killed;

	migration_state(in, "DONE");
	if (say_done(in, err))
		goto doubt;
	killed = mailbox_expect(&in->box, MIGRATE__CONTROL__BODY_KILLED, KILLED_TIMEOUT_MS, err);
	if (!killed)
		goto doubt;
	migrate__control__free_unpacked(killed, NULL);
	tell_result(err, counts_json(in));
	return CODE_OK;

doubt:
	err->code = CODE_OK;
	error_set(err, CODE_DOUBT, "end the stopped program at the source if it is still there",
		  "the program runs here and is complete, but the source did not say that it ended its own");
	tell_result(err, counts_json(in));
	return CODE_DOUBT;
}

/*
 * It ran, and was killed before all of its memory had come: the source's copy is older, but whole.
 * @signal: -1: nobody knows how it ended, so the source's copy is not ended
 */
static int died(struct migration *in, int signal, struct error *err)
{
	static const char hint[] = "at the source it stands as it was when it moved";
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Died body = MIGRATE__DIED__INIT;
	struct error ignored = { 0 };

	/* 0: nobody knows how it ended */
	body.signal = signal > 0 ? signal : 0;
	msg.body_case = MIGRATE__CONTROL__BODY_DIED;
	msg.died = &body;
	if (signal > 0)
		error_set(err, CODE_TARGET, hint,
			  "the program was killed by signal %d (%s) after it was started here",
			  signal, strsignal(signal));
	else
		error_set(err, CODE_TARGET, hint,
			  "the program has ended here after it was started, and its keeper, which would know how, was killed");
	control_send(in->ctl, &msg, &ignored);
	tell_result(err, counts_json(in));
	return err->code;
}

/* The accepting process shall not wait for us, nor who reads our output. */
static void go_behind(struct migration *in, int code)
{
	struct serve_msg msg = { .ended = true, .code = code };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* for as long as the program lives, perhaps: others shall have the place */
	msg.detached = !in->opts->places || !places_detach(in->opts->places);
	fdpass_send(in->parent_sock, &msg, sizeof(msg), NULL, 0);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	setsid();
}

/* After COMMIT nothing is undone: serve what is here for as long as the tasks live. */
static int lost(struct migration *in, struct error *err)
{
	uint64_t missing;

	mm_lock(&in->mm);
	missing = in->mm.wanted.nr;
	mm_unlock(&in->mm);
	mailbox_failed(&in->box, err);
	err->code = CODE_DOUBT;
	if (missing)
		snprintf(err->hint, sizeof(err->hint),
			 "the program waits only where it touches one of %lu pages that are still at the source; it stays as it is",
			 missing);
	tell_result(err, counts_json(in));
	control_shutdown(in->ctl);
	if (missing)
		go_behind(in, CODE_DOUBT);
	wait_complete(in, true);
	let_go(in);
	return CODE_DOUBT;
}

/*
 * From here on failures undo nothing, but for one: tasks that are dead cannot be started.
 * Return: 0 when the program runs, -1 when nothing of it ever did
 */
static int start_tasks(struct migration *in, struct error *err)
{
	struct serve_msg committed = { .ended = false };
	bool started;

	if (migration_commit(in, err))
		return -1;
	migration_state(in, "COMMITTED");
	if (init_ended(in))
		return error_set(err, CODE_TARGET, NULL,
				 "the restored program was killed before it was started");
	if (keeper_commit(in->keeper, &started, err))
		return -1;
	fdpass_send(in->parent_sock, &committed, sizeof(committed), NULL, 0);
	return 0;
}

/* The source gives up after --max-frozen, which began before Ready: this is long enough. */
static int commit_timeout_ms(const struct migration *in)
{
	uint32_t max_frozen_s = in->setup->max_frozen_s;

	if (max_frozen_s > MAX_FROZEN_S)
		max_frozen_s = MAX_FROZEN_S;
	return (max_frozen_s + COMMIT_MORE_S) * 1000;
}

int migration_takeover(struct migration *in, bool *undo, struct error *err)
{
	Migrate__Control *msg = mailbox_expect(&in->box, MIGRATE__CONTROL__BODY_COMMIT,
						commit_timeout_ms(in), err);
	enum outcome outcome;
	int signal;

	if (!msg)
		return -1;
	migrate__control__free_unpacked(msg, NULL);
	if (start_tasks(in, err))
		return -1;
	*undo = false;
	budget_drop_images(&in->budget);
	if (send_empty(in, MIGRATE__CONTROL__BODY_STARTED, err))
		migration_fail(in, err);
	migration_state(in, "FAULTS");
	memset(err, 0, sizeof(*err));
	if (migration_start_populate(in, err))
		migration_fail(in, err);
	outcome = wait_complete(in, false);
	if (outcome == OUTCOME_LOST)
		return lost(in, err);
	if (outcome == OUTCOME_ENDED)
		tell("ended", NULL, "the program has ended here already");
	signal = let_go(in);
	return outcome == OUTCOME_ENDED && signal ? died(in, signal, err) : finish(in, err);
}
