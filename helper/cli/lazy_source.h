/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_LAZY_SOURCE_H
#define MIGRATE_CLI_LAZY_SOURCE_H

/** lazy_source_main() - the verb `lazy-source`: give the pages of a held dump. Return: enum exit_code */
int lazy_source_main(int argc, char **argv);

#endif
