/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_FLAGS_H
#define MIGRATE_CLI_FLAGS_H

#include <stdbool.h>

/** struct flag - an option without a value; a list of them ends with a NULL name */
struct flag {
	const char *name;
	bool *set;
};

/**
 * flags_parse() - the command line of a verb that takes nothing but flags
 * @text: what --help says
 *
 * Return: -1 to go on, else the exit code: all has been said
 */
int flags_parse(int argc, char **argv, const char *text, const struct flag *flags);

#endif
