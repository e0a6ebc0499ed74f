/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_STATUS_H
#define MIGRATE_CLI_STATUS_H

/** status_main() - the verb `status`: list sessions and stopped programs. Return: enum exit_code */
int status_main(int argc, char **argv);

#endif
