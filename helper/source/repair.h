/* SPDX-License-Identifier: GPL-2.0 */
/* Repairs in CRIU's images: what a restore from them would lose. */
#ifndef MIGRATE_SOURCE_REPAIR_H
#define MIGRATE_SOURCE_REPAIR_H

#include "source/loss.h"
#include "source/tree.h"

/**
 * repair_images() - mend the images of the program, which stands
 * @losses: gets the repairs, and what could not be repaired
 */
int repair_images(const struct tree *tree, int images_fd, struct losses *losses,
		  struct error *err);

#endif
