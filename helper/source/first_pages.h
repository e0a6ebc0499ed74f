/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages that each thread touches first at the destination: where the kernel keeps rseq, which CRIU's restore
 * registers, and the end of the stack. Each of them would cost a round trip for which the program stands. They are
 * among the first that the program wrote, so that no round has brought their latest content.
 */
#ifndef MIGRATE_SOURCE_FIRST_PAGES_H
#define MIGRATE_SOURCE_FIRST_PAGES_H

#include "source/sender.h"
#include "source/tree.h"

#define FIRST_PAGES_MAX	64U	/* of all processes: the program stands meanwhile, on a slow link too */

/**
 * first_pages_send() - send those of these pages that are unsent, before FINAL
 *
 * The program is frozen, CRIU's images are read, and the unsent pages are known. For the main thread.
 */
int first_pages_send(struct sender *sender, const struct tree *tree, struct error *err);

#endif
