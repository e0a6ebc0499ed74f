// SPDX-License-Identifier: GPL-2.0
#include <sys/socket.h>
#include "source/failure.h"

#define REASON_MS	3000	/* how long to wait for the other side's reason */

static struct link_set *connected(struct source_failure *failure)
{
	struct link_set *links;

	mailbox_lock(failure->first.box);
	links = failure->links;
	mailbox_unlock(failure->first.box);
	return links;
}

static void cancel_dump(void *ctx)
{
	struct source_failure *failure = ctx;

	if (failure->rpc_fd >= 0)
		shutdown(failure->rpc_fd, SHUT_RDWR);
}

static void end_waiting(void *ctx, const struct error *err, bool committed)
{
	bool tell = !committed && err->code != CODE_NETWORK && err->code != CODE_PEER;
	struct link_set *links = connected(ctx);

	/* after COMMIT the destination's answer is worth waiting for */
	if (links)
		link_set_fail(links, tell ? err : NULL, !committed);
}

static const struct failure_hooks hooks = { .cancel = cancel_dump, .failed = end_waiting };

void source_failure_init(struct source_failure *failure, struct mailbox *box)
{
	*failure = (struct source_failure){
		.first = { .box = box, .hooks = &hooks, .ctx = failure }, .rpc_fd = -1,
	};
}

void source_failure_connected(struct source_failure *failure, struct link_set *links)
{
	mailbox_lock(failure->first.box);
	failure->links = links;
	mailbox_unlock(failure->first.box);
}

bool source_failure_is_connected(struct source_failure *failure)
{
	return connected(failure);
}

void source_failure_watch_rpc(void *ctx, int rpc_fd)
{
	struct source_failure *failure = ctx;

	mailbox_lock(failure->first.box);
	failure->rpc_fd = rpc_fd;
	if (failure->first.box->failed)
		cancel_dump(failure);
	mailbox_unlock(failure->first.box);
}

void source_failure_reason(struct source_failure *failure, struct error *err)
{
	struct mailbox *box = failure->first.box;
	struct error why = { 0 };

	/* the other side closes its connections a moment before it has said why */
	if (connected(failure) && err->code == CODE_NETWORK)
		mailbox_wait_failure(box, REASON_MS);
	if (mailbox_failed(box, &why))
		*err = why;
}
