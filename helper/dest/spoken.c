// SPDX-License-Identifier: GPL-2.0
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "dest/spoken.h"

static void count_down(struct spoken_host *host, int64_t now_ms)
{
	int64_t lines = (now_ms - host->ms) / SPOKEN_MS;

	if (lines <= 0)
		return;
	host->lines = host->lines > lines ? host->lines - lines : 0;
	host->ms += lines * SPOKEN_MS;
}

static struct spoken_host *find(struct spoken *spoken, const char *host)
{
	for (size_t i = 0; i < SPOKEN_HOSTS; i++)
		if (!strcmp(spoken->hosts[i].host, host))
			return &spoken->hosts[i];
	return NULL;
}

bool spoken_may(struct spoken *spoken, const char *host, int64_t now_ms)
{
	struct spoken_host *known = *host ? find(spoken, host) : NULL;

	if (!known)
		return true;
	count_down(known, now_ms);
	return known->lines < SPOKEN_LINES;
}

/* Who has said least is forgotten first. */
static struct spoken_host *take_place(struct spoken *spoken, const char *host, int64_t now_ms)
{
	struct spoken_host *least = &spoken->hosts[0];

	for (size_t i = 0; i < SPOKEN_HOSTS; i++) {
		count_down(&spoken->hosts[i], now_ms);
		if (spoken->hosts[i].lines < least->lines)
			least = &spoken->hosts[i];
	}
	snprintf(least->host, sizeof(least->host), "%s", host);
	least->lines = 0;
	least->ms = now_ms;
	return least;
}

void spoken_add(struct spoken *spoken, const char *host, unsigned int lines, int64_t now_ms)
{
	struct spoken_host *known;

	if (!*host || !lines)
		return;
	known = find(spoken, host);
	if (!known)
		known = take_place(spoken, host, now_ms);
	count_down(known, now_ms);
	known->lines += lines;
}
