/* SPDX-License-Identifier: GPL-2.0 */
/* A pipe through which pages go by reference: with the default size of 64 KiB each move takes too few of them. */
#ifndef MIGRATE_BASE_BIG_PIPE_H
#define MIGRATE_BASE_BIG_PIPE_H

#include <stddef.h>

#define BIG_PIPE_BYTES	(1 << 20)	/* what the kernel grants without CAP_SYS_RESOURCE; 256 pages */
#define BIG_PIPE_NONE	{ -1, -1 }

/**
 * big_pipe_open() - make a pipe for BIG_PIPE_BYTES; it is smaller when the user's pipes are at their limit
 * Return: 0, or -1 with errno and @pipe as BIG_PIPE_NONE
 */
int big_pipe_open(int pipe[2]);

/** big_pipe_widen() - of a pipe that another program made; a smaller one is slower, no more */
void big_pipe_widen(int fd);

/** big_pipe_drain() - move @bytes, which the pipe has, to a file or socket. Return: 0, or -1 with errno */
int big_pipe_drain(const int pipe[2], int to, size_t bytes);

/** big_pipe_close() - close what is open; may be called twice */
void big_pipe_close(int pipe[2]);

#endif
