/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The push: all pages that the destination lacks, while the program here stays frozen. PUSHED follows of each
 * address space, also when a process was killed here meanwhile: the destination is told what is lost.
 */
#ifndef MIGRATE_SOURCE_PUSH_H
#define MIGRATE_SOURCE_PUSH_H

#include <stdbool.h>
#include "session/mailbox.h"
#include "source/sender.h"
#include "source/tree.h"

/**
 * struct push - of the main thread
 * @tree: whose memory is sent
 * @sender: onto the memory connection
 * @box: a failure ends the push
 * @done: PUSHED was sent for each address space
 */
struct push {
	struct tree *tree;
	struct sender *sender;
	struct mailbox *box;
	bool done;
};

/**
 * push_run() - send all that is unsent, and PUSHED; nothing the second time
 * @err: before COMMIT of the first address space that cannot be read; later of a lost link alone
 */
int push_run(struct push *push, struct error *err);

#endif
