// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "dest/incoming.h"
#include "dest/populate.h"
#include "dest/tell.h"
#include "wire/deadline.h"

#define GATE_TIMEOUT_MS	30000
#define REASON_MS	1000

int incoming_sync_init(struct incoming *in)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&in->sync.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&in->sync.changed, &attr);
	pthread_condattr_destroy(&attr);
	in->sync.rpc_fd = -1;
	return 0;
}

void incoming_fail(struct incoming *in, const struct error *err)
{
	struct incoming_sync *sync = &in->sync;
	bool wake;

	pthread_mutex_lock(&sync->lock);
	if (sync->closing || sync->failed) {
		pthread_mutex_unlock(&sync->lock);
		return;
	}
	sync->failed = true;
	sync->err = *err;
	if (sync->rpc_fd >= 0)
		shutdown(sync->rpc_fd, SHUT_RDWR);
	wake = !sync->committed && in->has_memory;
	pthread_cond_broadcast(&sync->changed);
	pthread_mutex_unlock(&sync->lock);
	/* after COMMIT what is here goes on to be installed */
	if (wake)
		memory_fail(&in->mem);
	if (in->ctl)
		control_hurry(in->ctl);
}

/* Return: false at the deadline; lock held */
static bool sync_wait(struct incoming_sync *sync, int timeout_ms, const struct timespec *until)
{
	if (timeout_ms < 0)
		return !pthread_cond_wait(&sync->changed, &sync->lock);
	return !pthread_cond_timedwait(&sync->changed, &sync->lock, until);
}

void incoming_state(struct incoming *in, const char *state)
{
	struct incoming_sync *sync = &in->sync;
	int ms = report_state_begin(state);
	struct timespec until;

	until = deadline_in(CLOCK_MONOTONIC, ms);
	pthread_mutex_lock(&sync->lock);
	while (!sync->failed && sync_wait(sync, ms, &until))
		;
	pthread_mutex_unlock(&sync->lock);
}

int incoming_failed(struct incoming *in, struct error *err)
{
	struct incoming_sync *sync = &in->sync;
	int ret = 0;

	pthread_mutex_lock(&sync->lock);
	if (sync->failed) {
		*err = sync->err;
		ret = -1;
	}
	pthread_mutex_unlock(&sync->lock);
	return ret;
}

Migrate__Control *incoming_next(struct incoming *in, int timeout_ms, struct error *err)
{
	struct incoming_sync *sync = &in->sync;
	Migrate__Control *msg = NULL;
	struct timespec until;
	bool in_time = true;

	until = deadline_in(CLOCK_MONOTONIC, timeout_ms < 0 ? 0 : timeout_ms);
	pthread_mutex_lock(&sync->lock);
	while (!sync->nr_queue && !sync->failed && !sync->hung_up && in_time)
		in_time = sync_wait(sync, timeout_ms, &until);
	/* a message that was received counts, whatever failed afterwards */
	if (sync->nr_queue) {
		msg = sync->queue[0].msg;
		sync->nr_queue--;
		memmove(sync->queue, sync->queue + 1, sync->nr_queue * sizeof(*sync->queue));
		pthread_cond_broadcast(&sync->changed);
	} else if (sync->failed) {
		*err = sync->err;
	} else if (sync->hung_up) {
		error_set(err, CODE_NETWORK, NULL, "the source closed the connection");
	} else {
		error_set(err, CODE_NETWORK, NULL, "nothing came from the source for %d ms",
			  timeout_ms);
	}
	pthread_mutex_unlock(&sync->lock);
	return msg;
}

Migrate__Control *incoming_expect(struct incoming *in, Migrate__Control__BodyCase body,
				  int timeout_ms, struct error *err)
{
	return control_expected(incoming_next(in, timeout_ms, err), body, err);
}

int incoming_wait(struct incoming *in, const bool *flag, int timeout_ms, const char *what,
		  struct error *err)
{
	struct incoming_sync *sync = &in->sync;
	struct timespec until;
	bool in_time = true;
	int ret = 0;

	until = deadline_in(CLOCK_MONOTONIC, timeout_ms);
	pthread_mutex_lock(&sync->lock);
	while (!*flag && !sync->failed && in_time)
		in_time = sync_wait(sync, timeout_ms, &until);
	if (sync->failed) {
		*err = sync->err;
		ret = -1;
	} else if (!*flag) {
		ret = error_set(err, CODE_PEER, NULL, "%s did not come within %d ms", what,
				timeout_ms);
	}
	pthread_mutex_unlock(&sync->lock);
	return ret;
}

bool incoming_is_committed(struct incoming *in)
{
	bool committed;

	pthread_mutex_lock(&in->sync.lock);
	committed = in->sync.committed;
	pthread_mutex_unlock(&in->sync.lock);
	return committed;
}

int incoming_commit(struct incoming *in, struct error *err)
{
	struct incoming_sync *sync = &in->sync;
	int ret = 0;

	/* under the lock a failure is either before it, and undoes, or after it, and does not */
	pthread_mutex_lock(&sync->lock);
	if (sync->failed && sync->err.code != CODE_NETWORK) {
		*err = sync->err;
		ret = -1;
	} else {
		sync->committed = true;
	}
	pthread_mutex_unlock(&sync->lock);
	return ret;
}

void incoming_set(struct incoming *in, bool *flag)
{
	pthread_mutex_lock(&in->sync.lock);
	*flag = true;
	pthread_cond_broadcast(&in->sync.changed);
	pthread_mutex_unlock(&in->sync.lock);
}

static void *control_body(void *arg)
{
	struct incoming *in = arg;
	struct incoming_sync *sync = &in->sync;

	for (;;) {
		struct error err = { 0 };
		Migrate__Control *msg = control_recv(in->ctl, -1, &err);

		if (!msg) {
			incoming_fail(in, &err);
			incoming_set(in, &sync->hung_up);
			return NULL;
		}
		pthread_mutex_lock(&sync->lock);
		while ((sync->nr_queue == INCOMING_QUEUE ||
			(sync->nr_queue && control_is_big(msg))) && !sync->closing)
			pthread_cond_wait(&sync->changed, &sync->lock);
		if (sync->nr_queue == INCOMING_QUEUE)
			migrate__control__free_unpacked(msg, NULL);
		else
			sync->queue[sync->nr_queue++].msg = msg;
		pthread_cond_broadcast(&sync->changed);
		pthread_mutex_unlock(&sync->lock);
	}
}

static int gate(void *ctx, uint32_t round, struct error *err)
{
	struct incoming *in = ctx;
	struct incoming_sync *sync = &in->sync;
	struct timespec until;
	bool in_time = true;
	int ret = 0;

	until = deadline_in(CLOCK_MONOTONIC, GATE_TIMEOUT_MS);
	pthread_mutex_lock(&sync->lock);
	while (sync->begun < round && !sync->frozen && !sync->failed && !sync->closing &&
	       in_time)
		in_time = sync_wait(sync, GATE_TIMEOUT_MS, &until);
	if (sync->failed) {
		*err = sync->err;
		ret = -1;
	} else if (sync->begun < round && !sync->frozen) {
		ret = error_set(err, CODE_PEER, NULL, "frames of round %u came, which control did not announce",
				round);
	}
	pthread_mutex_unlock(&sync->lock);
	return ret;
}

static int ack_round(void *ctx, uint32_t round, struct error *err)
{
	struct incoming *in = ctx;
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
	struct incoming *in = ctx;
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
	incoming_set(in, &in->sync.final);
	return 0;
}

/* The source says why on control, at about the time when it closes the others. */
static void wait_reason(struct incoming *in)
{
	struct incoming_sync *sync = &in->sync;
	struct timespec until;
	bool in_time = true;

	until = deadline_in(CLOCK_MONOTONIC, REASON_MS);
	pthread_mutex_lock(&sync->lock);
	while (!sync->failed && !sync->closing && in_time)
		in_time = sync_wait(sync, REASON_MS, &until);
	pthread_mutex_unlock(&sync->lock);
}

static void receive_body(struct incoming *in, struct receiver *receiver)
{
	struct error err = { 0 };

	if (!receive_run(receiver, &err))
		error_set(&err, CODE_NETWORK, NULL, "the source closed the %s connection",
			  receiver->urgent ? "urgent" : "memory");
	if (err.code == CODE_NETWORK)
		wait_reason(in);
	incoming_fail(in, &err);
}

static void *memory_body(void *arg)
{
	struct incoming *in = arg;

	receive_body(in, &in->memory);
	return NULL;
}

static void *urgent_body(void *arg)
{
	struct incoming *in = arg;

	receive_body(in, &in->urgent);
	return NULL;
}

static void *fault_body(void *arg)
{
	struct incoming *in = arg;

	fault_run(&in->fault);
	return NULL;
}

static void *populate_body(void *arg)
{
	struct incoming *in = arg;
	struct error err = { 0 };

	if (populate_run(&in->mem, &err))
		incoming_fail(in, &err);
	return NULL;
}

static int start_thread(pthread_t *thread, void *(*body)(void *), struct incoming *in, bool *has,
		 struct error *err)
{
	errno = pthread_create(thread, NULL, body, in);
	if (errno)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start a thread");
	*has = true;
	return 0;
}

int incoming_start_control(struct incoming *in, struct error *err)
{
	return start_thread(&in->control_thread, control_body, in, &in->has_control, err);
}

int incoming_start_receivers(struct incoming *in, struct error *err)
{
	struct receive_hooks hooks = {
		.gate = gate, .round = ack_round, .final = ack_final, .ctx = in,
	};
	bool has_memory = false;

	in->memory.hooks = hooks;
	in->urgent.hooks = hooks;
	if (start_thread(&in->urgent_thread, urgent_body, in, &in->has_receivers, err))
		return -1;
	if (!start_thread(&in->memory_thread, memory_body, in, &has_memory, err))
		return 0;
	shutdown(in->urgent.fd, SHUT_RDWR);
	pthread_join(in->urgent_thread, NULL);
	in->has_receivers = false;
	return -1;
}

int incoming_start_fault(struct incoming *in, struct error *err)
{
	return start_thread(&in->fault_thread, fault_body, in, &in->has_fault, err);
}

int incoming_start_populate(struct incoming *in, struct error *err)
{
	if (in->has_populate)
		return 0;
	return start_thread(&in->populate_thread, populate_body, in, &in->has_populate, err);
}

void incoming_stop_threads(struct incoming *in)
{
	incoming_set(in, &in->sync.closing);
	if (in->has_receivers) {
		shutdown(in->memory.fd, SHUT_RDWR);
		shutdown(in->urgent.fd, SHUT_RDWR);
		pthread_join(in->memory_thread, NULL);
		pthread_join(in->urgent_thread, NULL);
	}
	if (in->has_populate) {
		populate_stop(&in->mem);
		pthread_join(in->populate_thread, NULL);
	}
	if (in->has_fault) {
		atomic_store(&in->fault.stop, true);
		memory_kick(&in->mem);
		pthread_join(in->fault_thread, NULL);
	}
	in->has_receivers = false;
	in->has_populate = false;
	in->has_fault = false;
}
