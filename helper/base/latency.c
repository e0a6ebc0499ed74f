// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "base/latency.h"

#define NS_PER_US	1000UL

void latency_init(struct latency *latency)
{
	memset(latency, 0, sizeof(*latency));
	pthread_mutex_init(&latency->lock, NULL);
}

void latency_destroy(struct latency *latency)
{
	pthread_mutex_destroy(&latency->lock);
}

static unsigned int power_of(uint64_t ns)
{
	unsigned int power = ns < NS_PER_US ? 0 : 63 - __builtin_clzl(ns / NS_PER_US);

	return power < LATENCY_POWERS ? power : LATENCY_POWERS - 1;
}

/* Beyond the last power there is no part any more. */
static unsigned int part_of(uint64_t ns, unsigned int power)
{
	uint64_t first = NS_PER_US << power, part;

	if (ns < first)
		return 0;
	part = (ns - first) * LATENCY_PARTS / first;
	return part < LATENCY_PARTS ? part : LATENCY_PARTS - 1;
}

/* The first time that is too long for the class. */
static uint64_t end_of(unsigned int power, unsigned int part)
{
	return (NS_PER_US << power) + ((NS_PER_US << power) * (part + 1)) / LATENCY_PARTS;
}

void latency_add(struct latency *latency, uint64_t ns)
{
	unsigned int power = power_of(ns);

	pthread_mutex_lock(&latency->lock);
	latency->classes[power][part_of(ns, power)]++;
	latency->nr++;
	latency->sum_ns += ns;
	if (ns > latency->longest_ns)
		latency->longest_ns = ns;
	pthread_mutex_unlock(&latency->lock);
}

/* Lock held. @per_mille of the times are not longer. */
static uint64_t percentile(const struct latency *latency, unsigned int per_mille)
{
	uint64_t wanted = (latency->nr * per_mille + 999) / 1000, seen = 0;

	for (unsigned int power = 0; power < LATENCY_POWERS; power++)
		for (unsigned int part = 0; part < LATENCY_PARTS; part++) {
			uint64_t end = end_of(power, part);

			seen += latency->classes[power][part];
			if (wanted && seen >= wanted)
				return end < latency->longest_ns ? end : latency->longest_ns;
		}
	return 0;
}

struct latency_figures latency_figures(struct latency *latency)
{
	struct latency_figures figures = { 0 };

	pthread_mutex_lock(&latency->lock);
	figures.nr = latency->nr;
	figures.sum_ns = latency->sum_ns;
	figures.longest_ns = latency->longest_ns;
	figures.p50_ns = percentile(latency, 500);
	figures.p99_ns = percentile(latency, 990);
	figures.p999_ns = percentile(latency, 999);
	for (unsigned int power = 0; power < LATENCY_POWERS; power++)
		for (unsigned int part = 0; part < LATENCY_PARTS; part++)
			figures.powers[power] += latency->classes[power][part];
	pthread_mutex_unlock(&latency->lock);
	return figures;
}
