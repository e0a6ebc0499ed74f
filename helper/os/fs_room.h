/* SPDX-License-Identifier: GPL-2.0 */
/* Room of a file system that others need, too. */
#ifndef MIGRATE_OS_FS_ROOM_H
#define MIGRATE_OS_FS_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/**
 * fs_has_room() - can @bytes more be written, and an eighth of the file system is still free for others?
 * @fd: of a file in it
 * @free: what is free, in bytes
 *
 * Return: true as well when nothing is known, or the file system has no size
 */
bool fs_has_room(int fd, uint64_t bytes, uint64_t *free);

#endif
