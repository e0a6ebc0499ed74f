/* SPDX-License-Identifier: GPL-2.0 */
/* Foreign terminals of the program: another process holds their master, so they stay here. */
#ifndef MIGRATE_SOURCE_TERMINALS_H
#define MIGRATE_SOURCE_TERMINALS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** struct terminal - one terminal, with @rdev and @dev of stat(2) */
struct terminal {
	dev_t rdev, dev;
};

/**
 * struct terminals - the foreign terminals of one process. Zeroed is empty
 * @file: replaces the terminals at the destination (--replace-tty); NULL: the user named none
 * @leads: the program leads its session, and no other process has its terminal
 */
struct terminals {
	struct terminal *items;
	size_t nr;
	const char *file;
	bool leads;
};

void terminals_free(struct terminals *terminals);

#endif
