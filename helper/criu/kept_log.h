/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CRIU_KEPT_LOG_H
#define MIGRATE_CRIU_KEPT_LOG_H

#include <stddef.h>

/**
 * criu_log_keep() - copy a log to a directory that outlives the migration's directory
 * @log: path of the log
 * @kept: filled with the path of the copy, or with @log when the copy fails
 *
 * The directory keeps one log of each name, from the last failure. Only root can read it.
 */
void criu_log_keep(const char *log, char *kept, size_t bytes);

/** criu_log_keep_in() - criu_log_keep() into @dir */
void criu_log_keep_in(const char *dir, const char *log, char *kept, size_t bytes);

#endif
