// SPDX-License-Identifier: GPL-2.0
#include <sys/vfs.h>
#include "os/fs_room.h"

#define SPARE_SHARE	8	/* one part of so many is left to others */

bool fs_has_room(int fd, uint64_t bytes, uint64_t *free)
{
	struct statfs fs;

	*free = 0;
	if (fstatfs(fd, &fs) || !fs.f_blocks)
		return true;
	*free = (uint64_t)fs.f_bavail * fs.f_bsize;
	return *free >= bytes + (uint64_t)fs.f_blocks * fs.f_bsize / SPARE_SHARE;
}
