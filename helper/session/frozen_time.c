// SPDX-License-Identifier: GPL-2.0
#include "base/clock.h"
#include "session/frozen_time.h"

#define PART(name)	MIGRATE__FROZEN_PART__##name
#define PART_NS_MAX	86400000000000UL	/* a day: the longest --max-frozen */

static const struct {
	const char *name;
	enum frozen_owner owner;
} parts[FROZEN_PARTS] = {
	[PART(DUMP)] = { "dump", FROZEN_CRIU },
	[PART(GUARD)] = { "guard", FROZEN_SOURCE },
	[PART(READ_IMAGES)] = { "read_images", FROZEN_SOURCE },
	[PART(LAST_SCAN)] = { "last_scan", FROZEN_SOURCE },
	[PART(LISTS)] = { "lists", FROZEN_SOURCE },
	[PART(SEND_PAGES)] = { "send_pages", FROZEN_SOURCE },
	[PART(REPAIR)] = { "repair", FROZEN_SOURCE },
	[PART(SEND_IMAGES)] = { "send_images", FROZEN_SOURCE },
	[PART(ATTRIBUTES_HERE)] = { "attributes_here", FROZEN_SOURCE },
	[PART(WAIT)] = { "link", FROZEN_WAIT },
	[PART(COMMIT_HERE)] = { "commit", FROZEN_SOURCE },
	[PART(COMPARE_SHARED)] = { "compare_shared", FROZEN_SOURCE },
	[PART(SYNC_FILES)] = { "sync_files", FROZEN_SOURCE },
	[PART(AWAIT_LISTS)] = { "await_lists", FROZEN_DEST },
	[PART(REWRITE)] = { "rewrite", FROZEN_DEST },
	[PART(RESTORE)] = { "restore", FROZEN_CRIU },
	[PART(ATTACH)] = { "attach", FROZEN_DEST },
	[PART(HOLD)] = { "hold", FROZEN_DEST },
	[PART(END_RESTORE)] = { "end_restore", FROZEN_DEST },
	[PART(ATTRIBUTES_THERE)] = { "attributes_there", FROZEN_DEST },
	[PART(COMPARE)] = { "compare", FROZEN_DEST },
	[PART(CHECK)] = { "check", FROZEN_DEST },
};

void frozen_time_enter(struct frozen_time *time, unsigned int part)
{
	uint64_t now = clock_now_ns();

	if (time->part)
		time->ns[time->part] += now - time->since_ns;
	time->part = part;
	time->since_ns = now;
}

const char *frozen_part_name(unsigned int part)
{
	return part < FROZEN_PARTS ? parts[part].name : NULL;
}

enum frozen_owner frozen_part_owner(unsigned int part)
{
	return part < FROZEN_PARTS ? parts[part].owner : FROZEN_NONE;
}

uint64_t frozen_time_sum(const struct frozen_time *time, enum frozen_owner owner)
{
	uint64_t sum = 0;

	for (unsigned int part = 1; part < FROZEN_PARTS; part++)
		if (parts[part].owner == owner)
			sum += time->ns[part];
	return sum;
}

size_t frozen_time_pack(const struct frozen_time *time, Migrate__FrozenTime *messages,
			Migrate__FrozenTime **list)
{
	size_t nr = 0;

	for (unsigned int part = 1; part < FROZEN_PARTS; part++) {
		if (!time->ns[part])
			continue;
		migrate__frozen_time__init(&messages[nr]);
		messages[nr].part = part;
		messages[nr].ns = time->ns[part];
		list[nr] = &messages[nr];
		nr++;
	}
	return nr;
}

static bool is_of_dest(unsigned int part)
{
	return frozen_part_owner(part) == FROZEN_DEST || part == PART(RESTORE);
}

void frozen_time_take(struct frozen_time *time, Migrate__FrozenTime *const *list, size_t nr)
{
	uint64_t *wait = &time->ns[PART(WAIT)];

	for (size_t i = 0; i < nr; i++) {
		unsigned int part = list[i]->part;
		uint64_t ns = list[i]->ns < PART_NS_MAX ? list[i]->ns : PART_NS_MAX;

		if (!is_of_dest(part) || time->ns[part])
			continue;
		time->ns[part] = ns;
		*wait -= ns < *wait ? ns : *wait;
	}
}
