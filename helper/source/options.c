// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "source/options.h"

static const char *const mode_names[] = {
	[MODE_AUTO] = "auto", [MODE_PRECOPY] = "precopy", [MODE_POSTCOPY] = "postcopy",
};

static const char *const stall_names[] = {
	[STALL_POSTCOPY] = "postcopy", [STALL_THROTTLE] = "throttle", [STALL_ABORT] = "abort",
};

const char *migrate_mode_name(enum migrate_mode mode)
{
	return mode_names[mode];
}

int migrate_mode_find(const char *name)
{
	for (size_t i = 0; i < sizeof(mode_names) / sizeof(*mode_names); i++)
		if (!strcmp(name, mode_names[i]))
			return i;
	return -1;
}

int on_stall_find(const char *name)
{
	for (size_t i = 0; i < sizeof(stall_names) / sizeof(*stall_names); i++)
		if (stall_names[i] && !strcmp(name, stall_names[i]))
			return i;
	return -1;
}
