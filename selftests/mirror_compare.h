/* SPDX-License-Identifier: GPL-2.0 */
/* A mirror against a task that stands still. */
#ifndef SPLICE_VM_SELFTESTS_MIRROR_COMPARE_H
#define SPLICE_VM_SELFTESTS_MIRROR_COMPARE_H

#include <sys/types.h>

#include "mirror.h"

/**
 * struct compare - what came out
 * @pages: of the task that were compared
 * @swapped: of those, in swap when the comparison began
 * @stale: have other content in the mirror
 * @undropped: are in the mirror, but no longer in the task
 */
struct compare {
	unsigned long pages;
	unsigned long swapped;
	unsigned long stale;
	unsigned long undropped;
};

/* All that is private and populated in [start, end) of @pid. */
void compare_run(struct compare *c, pid_t pid, struct mirror *m, __u64 start,
		 __u64 end);

#endif
