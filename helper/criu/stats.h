/* SPDX-License-Identifier: GPL-2.0 */
/* The image with the figures of a dump. Tools that drive CRIU read it. */
#ifndef MIGRATE_CRIU_STATS_H
#define MIGRATE_CRIU_STATS_H

#include <stdint.h>
#include "base/error.h"

/** struct dump_stats - the time to find and read pages, the time to write pages, pages. The program never stands */
struct dump_stats {
	uint64_t read_us, write_us;
	uint64_t pages_scanned, pages_in_parent, pages_written;
};

/** stats_write() - write stats-dump into the directory */
int stats_write(int dir_fd, const struct dump_stats *stats, struct error *err);

#endif
