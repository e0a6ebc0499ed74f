/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_CHECK_H
#define MIGRATE_CLI_CHECK_H

/** check_main() - the verb `check`: is this machine ready. Return: enum exit_code */
int check_main(int argc, char **argv);

#endif
