/* SPDX-License-Identifier: GPL-2.0 */
/* The source's hold on the program, for its backends: see struct backend_hold. */
#ifndef MIGRATE_SOURCE_HOLD_H
#define MIGRATE_SOURCE_HOLD_H

#include "backend/backend.h"
#include "source/keeper.h"

/**
 * struct hold - freezes the program for a moment; the backends keep a pointer to it
 * @keeper: where the migration has its keeper. A backend lives longer than the keeper: NULL there, and
 *	nothing is frozen or kept any more
 * @inside, @nr: the processes that stand, in ascending order; between freeze and thaw
 */
struct hold {
	struct source_keeper **keeper;
	struct guard *guard;
	pid_t *inside;
	size_t nr;
};

/** hold_for_backend() - what a backend is given of @hold */
struct backend_hold hold_for_backend(struct hold *hold);

#endif
