/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes to standard output and standard error that never wait long for the reader. A terminal that
 * Ctrl-S stopped, or a log whose reader hangs, must not keep a migrating program frozen.
 */
#ifndef MIGRATE_BASE_OUT_H
#define MIGRATE_BASE_OUT_H

#include <stdbool.h>
#include <stddef.h>

#define OUT_WAIT_MS	1000	/* wait once so long for a reader that takes nothing */

/**
 * struct out - one descriptor
 * @lost: texts that were dropped since the reader last took one
 * @cut: only a part of the last text was written
 * @no_wait: do not wait OUT_WAIT_MS either
 */
struct out {
	int fd;
	unsigned int lost;
	bool cut, no_wait;
};

/**
 * out_own() - from now on writes to @fd do not wait, also when several processes write to @fd
 *
 * The function opens a pipe or a terminal anew: O_NONBLOCK on an inherited descriptor would also
 * bind every other process that has the same open file.
 */
void out_own(int fd);

/**
 * out_write() - write @text, or drop it
 *
 * After a dropped text, writes do not wait until the reader takes a text again.
 * Return: true when the whole @text was written
 */
bool out_write(struct out *out, const char *text, size_t bytes);

#endif
