/* SPDX-License-Identifier: GPL-2.0 */
/* A process that is added to the tree: can it be moved? Then a session reads its address space. */
#ifndef MIGRATE_SOURCE_JOIN_H
#define MIGRATE_SOURCE_JOIN_H

#include "source/choose.h"
#include "source/guard.h"
#include "source/refuse.h"

/**
 * struct join - what the two functions need; the @ctx of tree_follow()
 * @guard: freezes all of the program
 * @hold: for the sessions
 * @home: of the processes of the tree as it is in the beginning, which are looked at within some milliseconds
 * @terms: of a look at the program; the root of its tree has a session when join_later() is called
 */
struct join {
	const struct guard *guard;
	struct hold *hold;
	struct guard_home home;
	const struct inspection *terms;
};

/** join_in_setup() - of the tree as it is in the beginning: refuse_program() looks at all of it */
int join_in_setup(void *ctx, struct source_process *process, struct error *err);
/** join_later() - a process that began since: look at it, and open a session with the root's tracker */
int join_later(void *ctx, struct source_process *process, struct error *err);

#endif
