// SPDX-License-Identifier: GPL-2.0
#include "criu/image.h"
#include "criu/stats.h"
#include "images.pb-c.h"

int stats_write(int dir_fd, const struct dump_stats *stats, struct error *err)
{
	Img__DumpStats dump = IMG__DUMP_STATS__INIT;
	Img__Stats all = IMG__STATS__INIT;
	struct image_out out;
	int ret;

	dump.memdump_time = stats->read_us;
	dump.memwrite_time = stats->write_us;
	dump.pages_scanned = stats->pages_scanned;
	dump.pages_skipped_parent = stats->pages_in_parent;
	dump.pages_written = stats->pages_written;
	all.dump = &dump;
	image_out_init(&out, IMAGE_STATS);
	image_out_add(&out, &all.base);
	ret = image_out_store(&out, dir_fd, "stats-dump", err);
	image_out_free(&out);
	return ret;
}
