/* SPDX-License-Identifier: GPL-2.0 */
/* SIGINT and SIGTERM as a descriptor, for a loop that waits with poll(). */
#ifndef MIGRATE_BASE_END_SIGNALS_H
#define MIGRATE_BASE_END_SIGNALS_H

#include "base/error.h"

/**
 * end_signals_open() - block SIGINT and SIGTERM, and ignore SIGPIPE; before any thread begins
 * Return: a descriptor that is readable once one has come, or -1 with @err
 */
int end_signals_open(struct error *err);

/** end_signals_take() - the signal that has come; 0: none */
int end_signals_take(int fd);

#endif
