/* SPDX-License-Identifier: GPL-2.0 */
/* The lines of the log that migrations of one address have caused before their Setup was accepted: a disk fills. */
#ifndef MIGRATE_DEST_SPOKEN_H
#define MIGRATE_DEST_SPOKEN_H

#include <stdbool.h>
#include <stdint.h>

#define SPOKEN_HOSTS	64
#define SPOKEN_LINES	400	/* of one address at once, then */
#define SPOKEN_MS	1000	/* one in each such time */

/** struct spoken - @lines: of @host, counted down with time; @ms: of the last count-down. Zeroed is empty */
struct spoken {
	struct spoken_host {
		char host[64];
		unsigned int lines;
		int64_t ms;
	} hosts[SPOKEN_HOSTS];
};

/** spoken_may() - a migration of @host may begin, and say what it has to; always true for "" (UNIX sockets) */
bool spoken_may(struct spoken *spoken, const char *host, int64_t now_ms);
/** spoken_add() - a migration of @host has caused @lines */
void spoken_add(struct spoken *spoken, const char *host, unsigned int lines, int64_t now_ms);

#endif
