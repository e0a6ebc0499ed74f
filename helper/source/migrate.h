/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_SOURCE_MIGRATE_H
#define MIGRATE_SOURCE_MIGRATE_H

/** migrate_main() - the verb `migrate`: move one program away. Return: enum exit_code */
int migrate_main(int argc, char **argv);

#endif
