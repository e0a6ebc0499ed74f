// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "cli/rate.h"

#define LEAST	65536.0		/* bytes a second: less than this and heartbeats have no room */
#define MOST	1e13

static const struct unit {
	const char *name;
	double bytes;
} units[] = {
	{ "bit/s", 1.0 / 8 }, { "kbit/s", 1e3 / 8 }, { "Mbit/s", 1e6 / 8 }, { "Gbit/s", 1e9 / 8 },
	{ "B/s", 1 }, { "kB/s", 1e3 }, { "MB/s", 1e6 }, { "GB/s", 1e9 },
	{ "KiB/s", 1024 }, { "MiB/s", 1048576 }, { "GiB/s", 1073741824 },
};

const char *rate_parse(const char *text, uint64_t *bytes_per_s)
{
	static const char want[] =
		"a number with a unit, from 64KiB/s on: kbit/s, Mbit/s, Gbit/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s";
	double number = 0;
	char *end;

	/* strtod() takes "inf", "0x10" and blanks too */
	if (!isdigit((unsigned char)*text) || text[1] == 'x' || text[1] == 'X')
		return want;
	number = strtod(text, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		double bytes = number * units[i].bytes;

		if (strcmp(end, units[i].name))
			continue;
		*bytes_per_s = bytes >= LEAST && bytes <= MOST ? bytes : 0;
		return *bytes_per_s ? NULL : want;
	}
	return want;
}
