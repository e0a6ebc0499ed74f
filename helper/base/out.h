/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writing to standard output and standard error without ever waiting long for who reads them: a
 * terminal that was stopped by Ctrl-S, or a log whose reader hangs, must not keep a program frozen.
 */
#ifndef MIGRATE_BASE_OUT_H
#define MIGRATE_BASE_OUT_H

#include <stdbool.h>
#include <stddef.h>

#define OUT_WAIT_MS	1000	/* for a reader that takes nothing; once */

/**
 * struct out - one descriptor
 * @lost: texts that were dropped since the reader took nothing
 * @cut: the last text was written in part
 * @no_wait: not even OUT_WAIT_MS
 */
struct out {
	int fd;
	unsigned int lost;
	bool cut, no_wait;
};

/**
 * out_own() - writing to @fd never waits from here on, also when several processes write to it
 *
 * A pipe or a terminal is opened anew for that: O_NONBLOCK on a descriptor that was handed to us
 * would be there for all who have it.
 */
void out_own(int fd);

/**
 * out_write() - write @text, or drop it
 *
 * After a text was dropped, nothing is waited for until the reader takes something again.
 * Return: true when @text was written whole
 */
bool out_write(struct out *out, const char *text, size_t bytes);

#endif
