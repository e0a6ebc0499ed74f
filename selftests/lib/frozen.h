/* SPDX-License-Identifier: GPL-2.0 */
/* A control group of the freezer of cgroup v1, which keeps a killed task. A failure ends the test. */
#ifndef SPLICE_VM_SELFTESTS_FROZEN_H
#define SPLICE_VM_SELFTESTS_FROZEN_H

#include <stdbool.h>
#include <sys/types.h>

/** frozen_mount() - mount the freezer, and make the group */
void frozen_mount(void);
/* The group is empty. */
void frozen_unmount(void);

/** frozen_freeze() - move task @pid to the group. Return: true when all of it is frozen, false when time is over */
bool frozen_freeze(pid_t pid);
void frozen_thaw(void);

#endif
