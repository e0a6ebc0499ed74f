// SPDX-License-Identifier: GPL-2.0
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "dest/log_quota.h"

static void count_down(struct log_quota_host *host, int64_t now_ms)
{
	int64_t lines = (now_ms - host->ms) / LOG_QUOTA_MS;

	if (lines <= 0)
		return;
	host->lines = host->lines > lines ? host->lines - lines : 0;
	host->ms += lines * LOG_QUOTA_MS;
}

static struct log_quota_host *find(struct log_quota *quota, const char *host)
{
	for (size_t i = 0; i < LOG_QUOTA_HOSTS; i++)
		if (!strcmp(quota->hosts[i].host, host))
			return &quota->hosts[i];
	return NULL;
}

bool log_quota_allows(struct log_quota *quota, const char *host, int64_t now_ms)
{
	struct log_quota_host *known = *host ? find(quota, host) : NULL;

	if (!known)
		return true;
	count_down(known, now_ms);
	return known->lines < LOG_QUOTA_LINES;
}

/* The address with the fewest lines gives its place away. */
static struct log_quota_host *take_place(struct log_quota *quota, const char *host, int64_t now_ms)
{
	struct log_quota_host *least = &quota->hosts[0];

	for (size_t i = 0; i < LOG_QUOTA_HOSTS; i++) {
		count_down(&quota->hosts[i], now_ms);
		if (quota->hosts[i].lines < least->lines)
			least = &quota->hosts[i];
	}
	snprintf(least->host, sizeof(least->host), "%s", host);
	least->lines = 0;
	least->ms = now_ms;
	return least;
}

void log_quota_add(struct log_quota *quota, const char *host, unsigned int lines, int64_t now_ms)
{
	struct log_quota_host *known;

	if (!*host || !lines)
		return;
	known = find(quota, host);
	if (!known)
		known = take_place(quota, host, now_ms);
	count_down(known, now_ms);
	known->lines += lines;
}
