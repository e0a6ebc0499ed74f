/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_PRE_DUMP_H
#define MIGRATE_CLI_PRE_DUMP_H

/** pre_dump_main() - the verb `pre-dump`: write the memory of running processes. Return: enum exit_code */
int pre_dump_main(int argc, char **argv);

#endif
