/* SPDX-License-Identifier: GPL-2.0 */
/* Requests of the destination on the urgent connection: a fault there waits for each page. */
#ifndef MIGRATE_SOURCE_REQUESTS_H
#define MIGRATE_SOURCE_REQUESTS_H

#include "session/mailbox.h"
#include "source/sender.h"
#include "source/tree.h"

/**
 * struct requests - of the thread that answers them
 * @tree: whose pages may be asked for, after FINAL
 * @sender: answers on the urgent connection, which carries the requests too
 * @box: after COMMIT a page that cannot be read is no failure, but told: others wait for theirs
 */
struct requests {
	const struct tree *tree;
	struct sender *sender;
	struct mailbox *box;
};

/**
 * requests_serve() - answer requests until the connection ends
 * Return: 0 when the destination closed it; -1 when it broke, or a request was wrong
 */
int requests_serve(struct requests *requests, struct error *err);

#endif
