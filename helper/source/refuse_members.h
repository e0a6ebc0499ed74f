/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One look at each process of the program. What is found of a process that ends meanwhile means
 * nothing, nor does the pipe to a child that begins or ends during the look. So a process against which
 * something speaks is looked at until a look finds the same as the one before, a limited number of times.
 */
#ifndef MIGRATE_SOURCE_REFUSE_MEMBERS_H
#define MIGRATE_SOURCE_REFUSE_MEMBERS_H

#include "source/inspection.h"

/** typedef look_fn - one look at a process; @look->losses are those of this process alone */
typedef int (*look_fn)(const struct inspection *look, struct source_process *process,
		       struct refusals *refusals, struct error *err);

/**
 * refuse_members() - call @apart and then @fn for each process of the tree
 * @apart: what concerns that process alone: called in any thread, for several at a time; NULL: nothing
 *
 * The wait for the end of those against which something speaks is one for all.
 * Return: 0, also when there are reasons in @refusals and in the losses; -1 with @err when a process
 * that lives cannot be looked at
 */
int refuse_members(const struct inspection *terms, look_fn apart, look_fn fn,
		   struct refusals *refusals, struct error *err);

#endif
