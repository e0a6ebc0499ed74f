/* SPDX-License-Identifier: GPL-2.0 */
/* Reads and writes of whole buffers. These functions go on after a signal (EINTR). */
#ifndef MIGRATE_BASE_IO_H
#define MIGRATE_BASE_IO_H

#include <stddef.h>
#include <sys/types.h>

/** io_write_all() - write all @bytes; 0, or -1 with errno when any part may have been written */
int io_write_all(int fd, const void *buf, size_t bytes);

/** io_pwrite_all() - io_write_all() at the offset @at */
int io_pwrite_all(int fd, const void *buf, size_t bytes, off_t at);

/**
 * io_pread_all() - read @bytes at the offset @at, fewer at the end of the file
 * @done: bytes that were read, also after a failure
 * Return: 0, or -1 with errno
 */
int io_pread_all(int fd, void *buf, size_t bytes, off_t at, size_t *done);

/**
 * io_write_text() - write @text with one write() into a file of procfs, sysfs or cgroupfs
 * Return: 0, or -1 with errno
 */
int io_write_text(const char *path, const char *text);

#endif
