// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include "source/threads.h"

#define REASON_MS	500	/* the program stands meanwhile */

static void *control_body(void *arg)
{
	struct threads *threads = arg;
	struct error err = { 0 };

	mailbox_receive(threads->box, threads->links->ctl, &err);
	failure_raise(threads->failure, &err);
	mailbox_hang_up(threads->box);
	return NULL;
}

/*
 * The destination closes the connection when it has all. Before Started there is no reason to:
 * then its helper is dead, although something else there may keep control open.
 */
static void *urgent_body(void *arg)
{
	struct threads *threads = arg;
	struct error err = { 0 }, closed = { 0 };

	if (requests_serve(&threads->requests, &err) && err.code != CODE_NETWORK)
		failure_raise(threads->failure, &err);
	/* control says why, at about the same time */
	mailbox_wait_failure(threads->box, REASON_MS);
	if (control_phase(threads->links->ctl) < PHASE_STARTED) {
		error_set(&closed, CODE_NETWORK, NULL,
			  "link lost: the urgent connection was closed");
		failure_raise(threads->failure, &closed);
	}
	return NULL;
}

static int start_thread(pthread_t *thread, void *(*body)(void *), struct threads *threads,
			bool *has, struct error *err)
{
	errno = pthread_create(thread, NULL, body, threads);
	if (errno)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start a thread");
	*has = true;
	return 0;
}

int threads_start(struct threads *threads, struct error *err)
{
	return start_thread(&threads->control, control_body, threads, &threads->has_control, err) ||
	       start_thread(&threads->urgent, urgent_body, threads, &threads->has_urgent, err) ? -1 :
	       0;
}

void threads_stop(struct threads *threads)
{
	if (!threads->has_control)
		return;
	control_shutdown(threads->links->ctl);
	conn_shutdown(&threads->links->urgent);
	pthread_join(threads->control, NULL);
	if (threads->has_urgent)
		pthread_join(threads->urgent, NULL);
	threads->has_control = threads->has_urgent = false;
}
