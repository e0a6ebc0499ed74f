/* SPDX-License-Identifier: GPL-2.0 */
/* Images of a tmpfs, made by hand; for tests and for inputs of the fuzzer. */
#ifndef MIGRATE_TESTS_TMPFS_IMAGES_H
#define MIGRATE_TESTS_TMPFS_IMAGES_H

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include "session/tmpfs_image.h"

struct tmpfs_bytes {
	uint8_t data[8192];
	size_t size;
};

static inline void tmpfs_put(struct tmpfs_bytes *to, const void *data, size_t size)
{
	memcpy(to->data + to->size, data, size);
	to->size += size;
}

/* @record: the length of @name is filled in */
static inline void tmpfs_put_record(struct tmpfs_bytes *to, struct tmpfs_record record, const char *name)
{
	record.name_bytes = strlen(name);
	record.mtime = 1234567;
	record.mtime_ns = 7;
	tmpfs_put(to, &record, sizeof(record));
	tmpfs_put(to, name, record.name_bytes);
}

static inline void tmpfs_put_run(struct tmpfs_bytes *to, uint64_t offset, const char *text)
{
	const struct tmpfs_run run = { .offset = offset, .bytes = strlen(text) };

	tmpfs_put(to, &run, sizeof(run));
	tmpfs_put(to, text, strlen(text));
}

static inline void tmpfs_begin(struct tmpfs_bytes *to)
{
	to->size = 0;
	tmpfs_put(to, TMPFS_MAGIC_TEXT, strlen(TMPFS_MAGIC_TEXT));
	tmpfs_put_record(to, (struct tmpfs_record){ .mode = S_IFDIR | 0750, .uid = 3 }, ".");
}

#endif
