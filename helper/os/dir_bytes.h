/* SPDX-License-Identifier: GPL-2.0 */
/* What the files below a directory hold. */
#ifndef MIGRATE_OS_DIR_BYTES_H
#define MIGRATE_OS_DIR_BYTES_H

#include <stdint.h>

/**
 * dir_bytes() - of the files below directory @fd, on its file system alone
 *
 * A file with several names counts with each; what is more than 64 directories deep does not.
 */
uint64_t dir_bytes(int fd);

#endif
