/* SPDX-License-Identifier: GPL-2.0 */
/* Free space of a file system that other programs write to as well. */
#ifndef MIGRATE_OS_FS_ROOM_H
#define MIGRATE_OS_FS_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/**
 * fs_has_room() - can @bytes more be written, and an eighth of the file system is still free for others?
 * @fd: of a file in it
 * @free: out: bytes that are free
 *
 * Return: true also for a file system that does not tell its size
 */
bool fs_has_room(int fd, uint64_t bytes, uint64_t *free);

#endif
