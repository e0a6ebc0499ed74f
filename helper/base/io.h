/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files: all of it or a failure. None of these ends at a signal.
 */
#ifndef MIGRATE_BASE_IO_H
#define MIGRATE_BASE_IO_H

#include <stddef.h>
#include <sys/types.h>

/** io_write_all() - 0, or -1 with errno; how much was written then is not known */
int io_write_all(int fd, const void *buf, size_t bytes);

/** io_pwrite_all() - io_write_all() at the offset @at */
int io_pwrite_all(int fd, const void *buf, size_t bytes, off_t at);

/**
 * io_pread_all() - read at the offset @at until @bytes are there, the file ends, or it fails
 * @done: bytes that were read; fewer than @bytes at the end of the file and after a failure
 * Return: 0, or -1 with errno
 */
int io_pread_all(int fd, void *buf, size_t bytes, off_t at, size_t *done);

/**
 * io_write_text() - one write() of @text into the file of the kernel at @path
 * Return: 0, or -1 with errno
 */
int io_write_text(const char *path, const char *text);

#endif
