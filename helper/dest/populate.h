/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_POPULATE_H
#define MIGRATE_DEST_POPULATE_H

#include "dest/mm.h"

/**
 * populate_run() - body of the thread that installs from the mirror
 *
 * Return: 0 when it was stopped, -1 on failure
 */
int populate_run(struct mm *mm, struct error *err);

/** populate_stop() - have it end; not from its own thread */
void populate_stop(struct mm *mm);

#endif
