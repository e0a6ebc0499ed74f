/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_RELEASE_H
#define MIGRATE_CLI_RELEASE_H

/** release_main() - the verb `release`: let a stopped program run again. Return: enum exit_code */
int release_main(int argc, char **argv);

#endif
