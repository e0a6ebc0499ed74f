/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How many lines of the log the migrations from one address may cause before their Setup is accepted. Without a
 * quota a stranger fills the disk.
 */
#ifndef MIGRATE_DEST_LOG_QUOTA_H
#define MIGRATE_DEST_LOG_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_QUOTA_HOSTS	64
#define LOG_QUOTA_LINES	400	/* of one address at once, then */
#define LOG_QUOTA_MS	1000	/* one in each such time */

/** struct log_quota - @lines: of @host, counted down with time; @ms: of the last count-down. Zeroed is empty */
struct log_quota {
	struct log_quota_host {
		char host[64];
		unsigned int lines;
		int64_t ms;
	} hosts[LOG_QUOTA_HOSTS];
};

/** log_quota_allows() - @host has lines left, so that a migration may begin; always true for "" (UNIX sockets) */
bool log_quota_allows(struct log_quota *quota, const char *host, int64_t now_ms);
/** log_quota_add() - a migration from @host has caused @lines */
void log_quota_add(struct log_quota *quota, const char *host, unsigned int lines, int64_t now_ms);

#endif
