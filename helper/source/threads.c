// SPDX-License-Identifier: GPL-2.0
#include "base/thread.h"
#include "source/threads.h"

#define REASON_MS	500	/* the program stands meanwhile */

static void *control_body(void *arg)
{
	struct threads *threads = arg;

	failure_receive(threads->failure, threads->links->ctl);
	return NULL;
}

/*
 * The destination closes the urgent connection when it has all pages. A close before Started means
 * that the destination's helper is dead, although another process may keep control open.
 */
static void *urgent_body(void *arg)
{
	struct threads *threads = arg;
	struct error err = { 0 }, closed = { 0 };

	if (requests_serve(&threads->requests, &err) && err.code != CODE_NETWORK)
		failure_raise(threads->failure, &err);
	/* control tells the reason at about the same time */
	mailbox_wait_failure(threads->box, REASON_MS);
	if (control_phase(threads->links->ctl) < PHASE_STARTED) {
		error_set(&closed, CODE_NETWORK, NULL,
			  "link lost: the urgent connection was closed");
		failure_raise(threads->failure, &closed);
	}
	return NULL;
}

int threads_start(struct threads *threads, struct error *err)
{
	threads->has_control = !thread_start(&threads->control, control_body, threads, err);
	if (!threads->has_control)
		return -1;
	threads->has_urgent = !thread_start(&threads->urgent, urgent_body, threads, err);
	return threads->has_urgent ? 0 : -1;
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
