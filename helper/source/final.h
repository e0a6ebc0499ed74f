/* SPDX-License-Identifier: GPL-2.0 */
/* From the freeze to FINAL: the state of the frozen program, as lists for the destination. */
#ifndef MIGRATE_SOURCE_FINAL_H
#define MIGRATE_SOURCE_FINAL_H

#include "session/mailbox.h"
#include "source/figures.h"
#include "source/options.h"
#include "source/sender.h"
#include "source/shm.h"
#include "source/tree.h"

/**
 * struct final - what final_send() takes
 * @sender: onto the memory connection
 * @round: the last round that was announced
 * @box: a failure ends it
 */
struct final {
	struct tree *tree;
	struct source_shms *shms;
	struct sender *sender;
	struct control *ctl;
	struct mailbox *box;
	struct figures *figures;
	const struct criu_version *criu;
	enum migrate_mode mode;
	uint32_t round;
	int images_fd;
};

/** final_send() - which pages there are, and which of the destination's are old; FINAL */
int final_send(const struct final *final, struct error *err);

#endif
