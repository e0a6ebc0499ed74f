// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "dest/migration.h"
#include "dest/populate.h"
#include "dest/tell.h"

#define GATE_TIMEOUT_MS	30000
#define REASON_MS	1000

void migration_sync_init(struct migration *in)
{
	mailbox_init(&in->box, "the source");
	in->sync.rpc_fd = -1;
}

void migration_fail(struct migration *in, const struct error *err)
{
	bool first, wake;

	mailbox_lock(&in->box);
	first = mailbox_fail_locked(&in->box, err, false) == MAILBOX_FIRST;
	if (first && in->sync.rpc_fd >= 0)
		shutdown(in->sync.rpc_fd, SHUT_RDWR);
	wake = !in->box.committed && in->has_memory;
	mailbox_unlock(&in->box);
	if (!first)
		return;
	/* after COMMIT what is here goes on to be installed */
	if (wake)
		mm_fail(&in->mm);
	if (in->ctl)
		control_hurry(in->ctl);
}

void migration_state(struct migration *in, const char *state)
{
	mailbox_wait_failure(&in->box, report_state_begin(state));
}

int migration_wait(struct migration *in, const bool *flag, int timeout_ms, const char *what,
		  struct error *err)
{
	int ret = mailbox_wait(&in->box, flag, timeout_ms, err);

	return ret <= 0 ? ret : error_set(err, CODE_PEER, NULL, "%s did not come within %d ms",
					  what, timeout_ms);
}

int migration_commit(struct migration *in, struct error *err)
{
	return mailbox_commit(&in->box, CODE_NETWORK, err);
}

static void *control_body(void *arg)
{
	struct migration *in = arg;
	struct error err = { 0 };

	mailbox_receive(&in->box, in->ctl, &err);
	migration_fail(in, &err);
	mailbox_hang_up(&in->box);
	return NULL;
}

static int gate(void *ctx, uint32_t round, struct error *err)
{
	struct migration *in = ctx;
	struct mailbox *box = &in->box;
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, GATE_TIMEOUT_MS);
	bool in_time = true;
	int ret = 0;

	mailbox_lock(box);
	while (in->sync.begun < round && !in->sync.frozen && !box->failed && !box->closing &&
	       in_time)
		in_time = !pthread_cond_timedwait(&box->changed, &box->lock, &until);
	if (box->failed) {
		*err = box->err;
		ret = -1;
	} else if (in->sync.begun < round && !in->sync.frozen) {
		ret = error_set(err, CODE_PEER, NULL, "frames of round %u came, which control did not announce",
				round);
	}
	mailbox_unlock(box);
	return ret;
}

static int ack_round(void *ctx, uint32_t round, struct error *err)
{
	struct migration *in = ctx;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__RoundAck ack = MIGRATE__ROUND_ACK__INIT;

	ack.round = round;
	msg.body_case = MIGRATE__CONTROL__BODY_ROUND_ACK;
	msg.round_ack = &ack;
	tell("round", json_pack("{s:i,s:I}", "round", round, "bytes",
					(json_int_t)atomic_load(&in->memory.bytes)),
	     "round %u is in, %lu MiB received", round,
	     atomic_load(&in->memory.bytes) >> 20);
	return control_send(in->ctl, &msg, err);
}

static int ack_final(void *ctx, uint64_t have, uint64_t lack, struct error *err)
{
	struct migration *in = ctx;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__FinalAck ack = MIGRATE__FINAL_ACK__INIT;

	ack.have_pages = have;
	ack.want_pages = lack;
	msg.body_case = MIGRATE__CONTROL__BODY_FINAL_ACK;
	msg.final_ack = &ack;
	tell("final", json_pack("{s:I,s:I}", "have_pages", (json_int_t)have, "want_pages",
				(json_int_t)lack),
	     "%lu pages are here, %lu are still at the source", have, lack);
	/* Ready must not overtake it */
	if (control_send(in->ctl, &msg, err))
		return -1;
	mailbox_set(&in->box, &in->sync.final);
	return 0;
}

static void receive_body(struct migration *in, struct receiver *receiver)
{
	struct error err = { 0 };

	if (!receiver_run(receiver, &err))
		error_set(&err, CODE_NETWORK, NULL, "the source closed the %s connection",
			  receiver->urgent ? "urgent" : "memory");
	/* the source says why on control, at about the time when it closes the others */
	if (err.code == CODE_NETWORK)
		mailbox_wait_failure(&in->box, REASON_MS);
	migration_fail(in, &err);
}

static void *memory_body(void *arg)
{
	struct migration *in = arg;

	receive_body(in, &in->memory);
	return NULL;
}

static void *urgent_body(void *arg)
{
	struct migration *in = arg;

	receive_body(in, &in->urgent);
	return NULL;
}

static void *fault_body(void *arg)
{
	struct migration *in = arg;

	faults_run(&in->faults);
	return NULL;
}

static void *populate_body(void *arg)
{
	struct migration *in = arg;
	struct error err = { 0 };

	if (populate_run(&in->mm, &err))
		migration_fail(in, &err);
	return NULL;
}

static int start_thread(pthread_t *thread, void *(*body)(void *), struct migration *in, bool *has,
		 struct error *err)
{
	errno = pthread_create(thread, NULL, body, in);
	if (errno)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start a thread");
	*has = true;
	return 0;
}

int migration_start_control(struct migration *in, struct error *err)
{
	return start_thread(&in->control_thread, control_body, in, &in->has_control, err);
}

int migration_start_receivers(struct migration *in, struct error *err)
{
	struct receiver_hooks hooks = {
		.gate = gate, .round = ack_round, .final = ack_final, .ctx = in,
	};
	bool has_memory = false;

	in->memory.hooks = hooks;
	in->urgent.hooks = hooks;
	if (start_thread(&in->urgent_thread, urgent_body, in, &in->has_receivers, err))
		return -1;
	if (!start_thread(&in->memory_thread, memory_body, in, &has_memory, err))
		return 0;
	conn_shutdown(&in->urgent_conn);
	pthread_join(in->urgent_thread, NULL);
	in->has_receivers = false;
	return -1;
}

int migration_start_fault(struct migration *in, struct error *err)
{
	return start_thread(&in->fault_thread, fault_body, in, &in->has_fault, err);
}

int migration_start_populate(struct migration *in, struct error *err)
{
	if (in->has_populate)
		return 0;
	return start_thread(&in->populate_thread, populate_body, in, &in->has_populate, err);
}

void migration_stop_threads(struct migration *in)
{
	mailbox_close(&in->box);
	if (in->has_receivers) {
		conn_shutdown(&in->memory_conn);
		conn_shutdown(&in->urgent_conn);
		pthread_join(in->memory_thread, NULL);
		pthread_join(in->urgent_thread, NULL);
	}
	if (in->has_populate) {
		populate_stop(&in->mm);
		pthread_join(in->populate_thread, NULL);
	}
	if (in->has_fault) {
		atomic_store(&in->faults.stop, true);
		mm_kick(&in->mm);
		pthread_join(in->fault_thread, NULL);
	}
	in->has_receivers = false;
	in->has_populate = false;
	in->has_fault = false;
}
