/* SPDX-License-Identifier: GPL-2.0 */
/* Terminals that the program has from others: they stay here. */
#ifndef MIGRATE_SOURCE_TERMINALS_H
#define MIGRATE_SOURCE_TERMINALS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** struct terminal - one of them; @dev: of its file, as of stat(2) */
struct terminal {
	dev_t rdev, dev;
};

/**
 * struct terminals - all of them. Zeroed is empty
 * @file: of --replace-tty, to take their place; NULL: none was named
 * @leads: the program leads its session, and shares its terminal with nobody
 */
struct terminals {
	struct terminal *items;
	size_t nr;
	const char *file;
	bool leads;
};

void terminals_free(struct terminals *terminals);

#endif
