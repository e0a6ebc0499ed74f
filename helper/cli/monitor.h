/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_MONITOR_H
#define MIGRATE_CLI_MONITOR_H

/** monitor_main() - the verb `monitor`: print events of sessions. Return: enum exit_code */
int monitor_main(int argc, char **argv);

#endif
