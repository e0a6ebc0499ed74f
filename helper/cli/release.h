/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_RELEASE_H
#define MIGRATE_CLI_RELEASE_H

/** release_main() - `migrate-helper release` */
int release_main(int argc, char **argv);

#endif
