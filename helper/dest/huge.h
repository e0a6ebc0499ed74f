/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A userfaultfd installs small pages. When the program is complete and runs, its memory gets huge pages
 * again: where this machine's policy and the program's own madvise() say so, and where all is there.
 */
#ifndef MIGRATE_DEST_HUGE_H
#define MIGRATE_DEST_HUGE_H

#include "dest/program.h"

/** huge_is_wanted() - a process of the program has memory that may have huge pages */
bool huge_is_wanted(const struct program *program);
/** huge_make() - one process after another; takes about a second for each 2 GiB. Return: huge pages that were made */
uint64_t huge_make(const struct program *program);

#endif
