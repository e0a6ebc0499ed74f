// SPDX-License-Identifier: GPL-2.0
#include <sys/socket.h>
#include "source/failure.h"

#define REASON_MS	3000	/* how long to wait for the other side's reason */

void failure_init(struct failure *failure, struct mailbox *box)
{
	*failure = (struct failure){ .box = box, .rpc_fd = -1 };
	pthread_mutex_init(&failure->lock, NULL);
}

void failure_connected(struct failure *failure, struct link_set *links)
{
	pthread_mutex_lock(&failure->lock);
	failure->links = links;
	pthread_mutex_unlock(&failure->lock);
}

bool failure_is_connected(struct failure *failure)
{
	bool connected;

	pthread_mutex_lock(&failure->lock);
	connected = failure->links;
	pthread_mutex_unlock(&failure->lock);
	return connected;
}

bool failure_raise_unless_committed(struct failure *failure, const struct error *err, bool undoes)
{
	enum mailbox_fault fault;
	struct link_set *links;
	bool committed, tell;

	pthread_mutex_lock(&failure->lock);
	mailbox_lock(failure->box);
	fault = mailbox_fail_locked(failure->box, err, undoes);
	committed = failure->box->committed;
	mailbox_unlock(failure->box);
	links = failure->links;
	if (fault == MAILBOX_FIRST && failure->rpc_fd >= 0)
		shutdown(failure->rpc_fd, SHUT_RDWR);
	pthread_mutex_unlock(&failure->lock);
	if (fault != MAILBOX_FIRST)
		return fault == MAILBOX_LATER;
	tell = !committed && err->code != CODE_NETWORK && err->code != CODE_PEER;
	/* after COMMIT the destination's answer is worth waiting for */
	if (links)
		link_set_fail(links, tell ? err : NULL, !committed);
	return true;
}

void failure_raise(struct failure *failure, const struct error *err)
{
	failure_raise_unless_committed(failure, err, false);
}

void failure_watch_rpc(void *ctx, int rpc_fd)
{
	struct failure *failure = ctx;
	struct error ignored = { 0 };

	pthread_mutex_lock(&failure->lock);
	failure->rpc_fd = rpc_fd;
	if (rpc_fd >= 0 && mailbox_failed(failure->box, &ignored))
		shutdown(rpc_fd, SHUT_RDWR);
	pthread_mutex_unlock(&failure->lock);
}

void failure_reason(struct failure *failure, struct error *err)
{
	struct error why = { 0 };

	/* the other side closes its connections a moment before it has said why */
	if (failure_is_connected(failure) && err->code == CODE_NETWORK)
		mailbox_wait_failure(failure->box, REASON_MS);
	if (mailbox_failed(failure->box, &why))
		*err = why;
}
