/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_LAZY_PAGES_H
#define MIGRATE_CLI_LAZY_PAGES_H

/** lazy_pages_main() - the verb `lazy-pages`: give restores of CRIU their memory. Return: enum exit_code */
int lazy_pages_main(int argc, char **argv);

#endif
