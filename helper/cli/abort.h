/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_ABORT_H
#define MIGRATE_CLI_ABORT_H

/** abort_main() - the verb `abort`: a person settles a migration that is in doubt. Return: enum exit_code */
int abort_main(int argc, char **argv);

#endif
