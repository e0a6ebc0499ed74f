/* SPDX-License-Identifier: GPL-2.0 */
/* How many bytes the files below a directory take on their file system. */
#ifndef MIGRATE_OS_DIR_BYTES_H
#define MIGRATE_OS_DIR_BYTES_H

#include <stdint.h>

/**
 * dir_bytes() - of the files below directory @fd, on its file system alone
 *
 * A file with several names counts once for each name. Files more than 64 directories deep do not count.
 */
uint64_t dir_bytes(int fd);

#endif
