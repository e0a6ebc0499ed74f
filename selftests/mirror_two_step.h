/* SPDX-License-Identifier: GPL-2.0 */
/* The control: what a tracker loses that reads and clears in two steps. */
#ifndef SPLICE_VM_SELFTESTS_MIRROR_TWO_STEP_H
#define SPLICE_VM_SELFTESTS_MIRROR_TWO_STEP_H

#include "mirror_load.h"

/* Return: pages that are stale after @seconds */
unsigned long two_step_run(const struct load_config *config,
			   unsigned int seconds);

#endif
