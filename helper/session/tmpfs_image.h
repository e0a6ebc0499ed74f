/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the names of a tmpfs come to the destination: an image beside CRIU's own, which the source writes while the program
 * stands. One record for each name, a directory before what is in it, each followed by
 *
 * - the name, without an end;
 * - extended attributes: each a name with its end, the length of the value in 4 bytes, and the value;
 * - of a symbolic link its target; of a file without an object its data: runs, up to one of no bytes.
 *
 * Both machines are little-endian.
 */
#ifndef MIGRATE_SESSION_TMPFS_IMAGE_H
#define MIGRATE_SESSION_TMPFS_IMAGE_H

#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>
#include "base/page.h"

#define TMPFS_IMAGE_NAME	"migrate-tmpfs-%zu.img"	/* with the place in Setup's list */
#define TMPFS_MAGIC_TEXT	"MIGTMP01"
#define TMPFS_XATTRS_MAX	(1u << 20)	/* bytes of one name's */
#define TMPFS_LINK_MAX		4095		/* bytes of a symbolic link's target */

/**
 * struct tmpfs_record - one name
 * @depth: 0 for the root, which is the first record; 1 for what is in it
 * @object: whose pages are the file's data; 0: they follow
 * @first: this is one more name of the file of record @first - 1, and nothing but the name follows; 0: it is no such
 * @names: how many the file has
 */
struct tmpfs_record {
	uint32_t mode, uid, gid, depth;
	uint32_t name_bytes, xattr_bytes, object, first, names;
	uint32_t atime_ns, mtime_ns, unused;
	uint64_t rdev, size;
	int64_t atime, mtime;
};

/** struct tmpfs_run - @bytes of data at @offset, which follow */
struct tmpfs_run {
	uint64_t offset, bytes;
};

#define TMPFS_INODE_BYTES	1024	/* that the kernel takes for a file without data */
#define TMPFS_XATTR_FACTOR	8	/* it takes 80 bytes for an attribute of 11 */

/** tmpfs_record_cost() - memory that a name takes at the destination, as both ends count it */
static inline uint64_t tmpfs_record_cost(const struct tmpfs_record *record)
{
	uint64_t cost = TMPFS_INODE_BYTES + (uint64_t)record->xattr_bytes * TMPFS_XATTR_FACTOR;

	/* a long target has a page of its own, and the path of a file with several names is kept while the image is read */
	if (S_ISLNK(record->mode))
		cost += record->size;
	return record->names > 1 ? cost + PATH_MAX : cost;
}

/** tmpfs_run_cost() - of data; @run lies within a file */
static inline uint64_t tmpfs_run_cost(const struct tmpfs_run *run)
{
	return ((run->offset + run->bytes + PAGE_BYTES - 1) / PAGE_BYTES - run->offset / PAGE_BYTES) * PAGE_BYTES;
}

#endif
