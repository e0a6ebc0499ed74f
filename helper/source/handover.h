/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From the record of COMMIT on: the destination starts the program and gets all of its memory.
 */
#ifndef MIGRATE_SOURCE_HANDOVER_H
#define MIGRATE_SOURCE_HANDOVER_H

#include "session/failure.h"
#include "source/figures.h"
#include "source/push.h"

/**
 * struct handover - what handover_run() takes
 * @box: gets the destination's words
 * @frozen_at_ns: when the program was stopped
 */
struct handover {
	struct control *ctl;
	struct mailbox *box;
	struct failure *failure;
	struct push *push;
	struct figures *figures;
	uint64_t frozen_at_ns;
};

/**
 * handover_run() - send COMMIT, which is recorded, and all pages; until the destination has all
 * @died: set when the destination says that the program was killed after it was started
 */
int handover_run(const struct handover *handover, bool *died, struct error *err);

/**
 * handover_verdict() - the destination's answer to COMMIT
 *
 * A failure elsewhere says nothing of what became of the program: after one the answer has
 * another VERDICT_MS.
 * Return: NULL after a failure: control_is_unstarted() is then true or false for good
 */
Migrate__Control *handover_verdict(struct mailbox *box, struct error *err);

#endif
