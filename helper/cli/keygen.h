/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_KEYGEN_H
#define MIGRATE_CLI_KEYGEN_H

/** keygen_main() - migrate-helper keygen */
int keygen_main(int argc, char **argv);

#endif
