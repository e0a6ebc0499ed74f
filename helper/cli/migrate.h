/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_MIGRATE_H
#define MIGRATE_CLI_MIGRATE_H

#include "source/options.h"

/** migrate_main() - the verb `migrate`: move one program away. Return: enum exit_code */
int migrate_main(int argc, char **argv);

/** migrate_options_parse() - returns -1 to go on, else the exit status */
int migrate_options_parse(int argc, char **argv, struct migrate_options *opts);

#endif
