/* SPDX-License-Identifier: GPL-2.0 */
/* Digests of all memory of the program, for --verify. */
#ifndef MIGRATE_SOURCE_DIGEST_H
#define MIGRATE_SOURCE_DIGEST_H

#include "session/mailbox.h"
#include "source/shm.h"
#include "source/tree.h"

/**
 * digest_send() - digests of all populated pages of the program, which stands, and of shared memory
 * @box: a failure ends it
 */
int digest_send(const struct tree *tree, const struct source_shms *shms, struct control *ctl,
		struct mailbox *box, struct error *err);

#endif
