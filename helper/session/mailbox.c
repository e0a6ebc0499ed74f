// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "session/mailbox.h"

void mailbox_init(struct mailbox *box, const char *peer)
{
	pthread_condattr_t attr;

	memset(box, 0, sizeof(*box));
	box->peer = peer;
	pthread_mutex_init(&box->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&box->changed, &attr);
	pthread_condattr_destroy(&attr);
}

void mailbox_destroy(struct mailbox *box)
{
	while (box->nr_queue)
		migrate__control__free_unpacked(box->queue[--box->nr_queue], NULL);
	pthread_cond_destroy(&box->changed);
	pthread_mutex_destroy(&box->lock);
}

enum mailbox_fault mailbox_fail_locked(struct mailbox *box, const struct error *err, bool undoes)
{
	if (undoes && box->committed)
		return MAILBOX_TOO_LATE;
	if (box->closing || box->failed)
		return MAILBOX_LATER;
	box->failed = true;
	box->err = *err;
	pthread_cond_broadcast(&box->changed);
	return MAILBOX_FIRST;
}

/* Lock held. */
static int failure(const struct mailbox *box, struct error *err)
{
	if (!box->failed)
		return 0;
	*err = box->err;
	return -1;
}

int mailbox_failed(struct mailbox *box, struct error *err)
{
	int ret;

	mailbox_lock(box);
	ret = failure(box, err);
	mailbox_unlock(box);
	return ret;
}

/* @until: when @timeout_ms, which is not -1, is over. Return: false then; lock held */
static bool wait_change(struct mailbox *box, int timeout_ms, const struct timespec *until)
{
	if (timeout_ms < 0)
		return !pthread_cond_wait(&box->changed, &box->lock);
	return !pthread_cond_timedwait(&box->changed, &box->lock, until);
}

static struct timespec deadline(int timeout_ms)
{
	return clock_in_ms(CLOCK_MONOTONIC, timeout_ms < 0 ? 0 : timeout_ms);
}

/* A message that takes much memory waits until it is the only one. */
static bool is_full(const struct mailbox *box, const Migrate__Control *msg)
{
	return box->nr_queue == MAILBOX_MESSAGES || (box->nr_queue && control_is_big(msg));
}

static void put(struct mailbox *box, Migrate__Control *msg)
{
	mailbox_lock(box);
	while (is_full(box, msg) && !box->closing)
		pthread_cond_wait(&box->changed, &box->lock);
	if (box->nr_queue == MAILBOX_MESSAGES)
		migrate__control__free_unpacked(msg, NULL);
	else
		box->queue[box->nr_queue++] = msg;
	pthread_cond_broadcast(&box->changed);
	mailbox_unlock(box);
}

void mailbox_receive(struct mailbox *box, struct control *ctl, struct error *err)
{
	Migrate__Control *msg;

	while ((msg = control_recv(ctl, -1, err)))
		put(box, msg);
}

void mailbox_hang_up(struct mailbox *box)
{
	mailbox_set(box, &box->hung_up);
}

/* Lock held. */
static Migrate__Control *take(struct mailbox *box)
{
	Migrate__Control *msg;

	if (!box->nr_queue)
		return NULL;
	msg = box->queue[0];
	box->nr_queue--;
	memmove(box->queue, box->queue + 1, box->nr_queue * sizeof(*box->queue));
	pthread_cond_broadcast(&box->changed);
	return msg;
}

Migrate__Control *mailbox_next(struct mailbox *box, int timeout_ms, struct error *err)
{
	struct timespec until = deadline(timeout_ms);
	Migrate__Control *msg;
	bool in_time = true;

	mailbox_lock(box);
	while (!box->nr_queue && !box->failed && !box->hung_up && in_time)
		in_time = wait_change(box, timeout_ms, &until);
	/* a message that was received counts, whatever failed afterwards */
	msg = take(box);
	if (!msg && !failure(box, err)) {
		if (box->hung_up)
			error_set(err, CODE_NETWORK, NULL, "%s closed the connection", box->peer);
		else
			error_set(err, CODE_NETWORK, NULL, "nothing came from %s for %d ms",
				  box->peer, timeout_ms);
	}
	mailbox_unlock(box);
	return msg;
}

Migrate__Control *mailbox_expect(struct mailbox *box, Migrate__Control__BodyCase body,
				 int timeout_ms, struct error *err)
{
	return control_expected(mailbox_next(box, timeout_ms, err), body, err);
}

bool mailbox_wait_message(struct mailbox *box, bool despite_failure, int timeout_ms)
{
	struct timespec until = deadline(timeout_ms);
	bool in_time = true;

	mailbox_lock(box);
	while (!box->nr_queue && !box->hung_up && (despite_failure || !box->failed) && in_time)
		in_time = wait_change(box, timeout_ms, &until);
	mailbox_unlock(box);
	return in_time;
}

void mailbox_set(struct mailbox *box, bool *flag)
{
	mailbox_lock(box);
	*flag = true;
	pthread_cond_broadcast(&box->changed);
	mailbox_unlock(box);
}

int mailbox_wait(struct mailbox *box, const bool *flag, int timeout_ms, struct error *err)
{
	struct timespec until = deadline(timeout_ms);
	bool in_time = true;
	int ret;

	mailbox_lock(box);
	while (!*flag && !box->failed && in_time)
		in_time = wait_change(box, timeout_ms, &until);
	ret = failure(box, err);
	if (!ret && !*flag)
		ret = 1;
	mailbox_unlock(box);
	return ret;
}

void mailbox_wait_failure(struct mailbox *box, int timeout_ms)
{
	struct timespec until = deadline(timeout_ms);
	bool in_time = true;

	mailbox_lock(box);
	while (!box->failed && !box->closing && in_time)
		in_time = wait_change(box, timeout_ms, &until);
	mailbox_unlock(box);
}

int mailbox_commit(struct mailbox *box, enum exit_code but, struct error *err)
{
	int ret = 0;

	/* under the lock a failure is either before it, and undoes, or after it, and does not */
	mailbox_lock(box);
	if (!box->failed || (but && box->err.code == but))
		box->committed = true;
	else
		ret = failure(box, err);
	mailbox_unlock(box);
	return ret;
}

void mailbox_uncommit(struct mailbox *box)
{
	mailbox_lock(box);
	box->committed = false;
	mailbox_unlock(box);
}

bool mailbox_is_committed(struct mailbox *box)
{
	bool committed;

	mailbox_lock(box);
	committed = box->committed;
	mailbox_unlock(box);
	return committed;
}

void mailbox_close(struct mailbox *box)
{
	mailbox_set(box, &box->closing);
}
