/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_SERVE_H
#define MIGRATE_CLI_SERVE_H

/** serve_main() - the verb `serve`: accept migrations. Return: enum exit_code */
int serve_main(int argc, char **argv);

#endif
