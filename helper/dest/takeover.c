// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "dest/fdpass.h"
#include "dest/incoming.h"
#include "dest/tell.h"

#define POLL_MS			100	/* how often failures and ended tasks are looked for */
#define KILLED_TIMEOUT_MS	15000

enum outcome { OUTCOME_DONE, OUTCOME_ENDED, OUTCOME_LOST };

static int send_empty(struct incoming *in, Migrate__Control__BodyCase body, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Started started = MIGRATE__STARTED__INIT;

	msg.body_case = body;
	msg.started = &started;
	return control_send(in->ctl, &msg, err);
}

static int commit(struct incoming *in, struct error *err)
{
	/* under the lock a failure is either before it, and undoes, or after it, and does not */
	pthread_mutex_lock(&in->sync.lock);
	if (in->sync.failed)
		*err = in->sync.err;
	else
		in->sync.committed = true;
	pthread_mutex_unlock(&in->sync.lock);
	return error_is_set(err) ? -1 : 0;
}

static bool init_ended(const struct incoming *in)
{
	struct pollfd poll_in = { .fd = in->init_fd, .events = POLLIN };

	return poll(&poll_in, 1, 0) > 0;
}

/* Wait for the memory, for the end of the tasks, or, unless @patient, for a failure. */
static enum outcome wait_complete(struct incoming *in, bool patient)
{
	struct memory *mem = &in->mem;
	struct error ignored = { 0 };

	for (;;) {
		struct timespec until;
		bool done;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += POLL_MS * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
		memory_lock(mem);
		if (!memory_done(mem))
			pthread_cond_timedwait(&mem->changed, &mem->lock, &until);
		done = memory_done(mem);
		memory_unlock(mem);
		if (done)
			return OUTCOME_DONE;
		if (init_ended(in))
			return OUTCOME_ENDED;
		if (!patient && incoming_failed(in, &ignored))
			return OUTCOME_LOST;
	}
}

static json_t *counts_json(const struct incoming *in)
{
	const struct memory_counts *counts = &in->mem.counts;
	uint64_t precopy = counts->from_store > counts->late ? counts->from_store - counts->late : 0;

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

static int say_done(struct incoming *in, struct error *err)
{
	const struct memory_counts *counts = &in->mem.counts;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Done done = MIGRATE__DONE__INIT;

	done.precopy_pages = counts->from_store > counts->late ? counts->from_store - counts->late :
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
static void let_go(struct incoming *in)
{
	struct error err = { 0 };
	uint64_t orphans = 0;

	incoming_stop_threads(in);
	memory_close_uffds(&in->mem);
	for (size_t i = 0; i < in->mem.nr_spaces; i++)
		orphans += in->mem.spaces[i]->gone ? 0 : in->mem.spaces[i]->orphans;
	if (orphans)
		tell("warning", json_pack("{s:I}", "orphan_pages", (json_int_t)orphans),
		     "%lu pages had no place in the restored program", orphans);
	if (keeper_done(in->keeper, &err)) {
		tell("warning", NULL, "%s", err.what);
		keeper_clean_up(in->images.dir, in->init_fd);
	}
}

static int finish(struct incoming *in, struct error *err)
{
	Migrate__Control *killed;

	let_go(in);
	incoming_state(in, "DONE");
	if (say_done(in, err))
		goto doubt;
	killed = incoming_expect(in, MIGRATE__CONTROL__BODY_KILLED, KILLED_TIMEOUT_MS, err);
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

/* The accepting process shall not wait for us, nor who reads our output. */
static void go_behind(struct incoming *in, int code)
{
	struct serve_msg msg = { .ended = true, .code = code };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	fdpass_send(in->parent_sock, &msg, sizeof(msg), NULL, 0);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	setsid();
}

/* After COMMIT nothing is undone: serve what is here for as long as the tasks live. */
static int lost(struct incoming *in, struct error *err)
{
	uint64_t missing;

	memory_lock(&in->mem);
	missing = in->mem.wanted.nr;
	memory_unlock(&in->mem);
	incoming_failed(in, err);
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

int incoming_takeover(struct incoming *in, bool *undo, struct error *err)
{
	Migrate__Control *msg = incoming_expect(in, MIGRATE__CONTROL__BODY_COMMIT, -1, err);
	struct serve_msg committed = { .ended = false };
	enum outcome outcome;
	bool started;

	if (!msg)
		return -1;
	migrate__control__free_unpacked(msg, NULL);
	if (commit(in, err))
		return -1;
	*undo = false;
	fdpass_send(in->parent_sock, &committed, sizeof(committed), NULL, 0);
	if (keeper_commit(in->keeper, &started, err)) {
		incoming_fail(in, err);
		return lost(in, err);
	}
	if (send_empty(in, MIGRATE__CONTROL__BODY_STARTED, err))
		incoming_fail(in, err);
	incoming_state(in, "FAULTS");
	memset(err, 0, sizeof(*err));
	if (incoming_start_populate(in, err))
		incoming_fail(in, err);
	outcome = wait_complete(in, false);
	if (outcome == OUTCOME_LOST)
		return lost(in, err);
	if (outcome == OUTCOME_ENDED)
		tell("ended", NULL, "the program has ended here already");
	return finish(in, err);
}
