/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writing to standard output and standard error without ever waiting long for who reads them: a
 * terminal that was stopped by Ctrl-S, or a log whose reader hangs, must not keep a program frozen.
 */
#ifndef MIGRATE_UI_OUT_H
#define MIGRATE_UI_OUT_H

#include <stdbool.h>
#include <stddef.h>

#define OUT_WAIT_MS	1000	/* for a reader that takes nothing; once */

/**
 * struct out - one descriptor
 * @lost: texts that were dropped since the reader took nothing
 * @cut: the last text was written in part
 */
struct out {
	int fd;
	unsigned int lost;
	bool cut;
};

/**
 * out_write() - write @text, or drop it
 *
 * After a text was dropped, nothing is waited for until the reader takes something again.
 * Return: true when @text was written whole
 */
bool out_write(struct out *out, const char *text, size_t bytes);

#endif
