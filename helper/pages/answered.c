// SPDX-License-Identifier: GPL-2.0
#include "base/clock.h"
#include "pages/answered.h"

void answered_add(struct answered *answered, uint64_t read_ns)
{
	uint64_t ns = clock_now_ns() - read_ns;

	answered->faults++;
	answered->blocked_ns += ns;
	if (answered->all)
		latency_add(answered->all, ns);
}
