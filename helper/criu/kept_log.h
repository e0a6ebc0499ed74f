/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CRIU_KEPT_LOG_H
#define MIGRATE_CRIU_KEPT_LOG_H

#include <stddef.h>

/**
 * criu_log_keep() - copy a log to where it stays when the migration's directory is removed
 * @log: path of the log
 * @kept: gets the path of the copy; that of @log when it cannot be copied
 *
 * One log of each name is kept: that of the last failure. Its directory and it are root's alone.
 */
void criu_log_keep(const char *log, char *kept, size_t bytes);

/** criu_log_keep_in() - the same, into @dir */
void criu_log_keep_in(const char *dir, const char *log, char *kept, size_t bytes);

#endif
