// SPDX-License-Identifier: GPL-2.0
#include <stddef.h>
#include "session/counts.h"

#define COUNT(name)	{ #name, offsetof(struct counts, name), offsetof(Migrate__Done, name) }

static const struct {
	const char *name;
	size_t at, at_done;
} table[] = {
	COUNT(precopy_pages),
	COUNT(push_pages),
	COUNT(fault_pages),
	COUNT(zero_pages),
	COUNT(faults),
	COUNT(image_pages),
};

#define TABLE_NR	(sizeof(table) / sizeof(*table))

_Static_assert(sizeof(struct counts) == TABLE_NR * sizeof(uint64_t), "a row for each count");

static uint64_t *number(void *base, size_t at)
{
	return (uint64_t *)((char *)base + at);
}

static uint64_t value(const void *base, size_t at)
{
	return *(const uint64_t *)((const char *)base + at);
}

void counts_to_done(const struct counts *counts, Migrate__Done *done)
{
	for (size_t i = 0; i < TABLE_NR; i++)
		*number(done, table[i].at_done) = value(counts, table[i].at);
}

void counts_from_done(struct counts *counts, const Migrate__Done *done)
{
	for (size_t i = 0; i < TABLE_NR; i++)
		*number(counts, table[i].at) = value(done, table[i].at_done);
}

json_t *counts_json(const struct counts *counts)
{
	json_t *object = json_object();

	for (size_t i = 0; i < TABLE_NR; i++)
		json_object_set_new(object, table[i].name,
				    json_integer(value(counts, table[i].at)));
	return object;
}
