/* SPDX-License-Identifier: GPL-2.0 */
/*
 * --on-stall throttle: a program that writes faster than its memory can be sent gets less and less CPU time, until the rounds
 * shrink. The keeper sets the limit and lifts it (os/cgroup_cpu.h), so that a helper that is killed leaves none behind. The
 * limit is lifted right before the program shall stand: CRIU's code runs in the program, and is not to wait for CPU time.
 *
 * A step is a part of the CPU time that the program used before the first one, not of a CPU: half of a CPU means nothing to
 * a program that uses a third of one.
 */
#ifndef MIGRATE_SOURCE_THROTTLE_H
#define MIGRATE_SOURCE_THROTTLE_H

#include "os/cgroup_cpu.h"
#include "source/keeper.h"

/**
 * struct throttle - of one program; of the main thread
 * @root: of the program
 * @cpu: as throttle_plan() found it; the keeper has a copy, which counts
 * @keeper: sets the limit
 * @used_ticks: CPU time of the program so far, at @since_ns, before the first step
 * @used_permille: of a CPU, before the first step; 0: not known yet
 * @percentage: of that, which the program does not get now
 */
struct throttle {
	pid_t root;
	struct cgroup_cpu cpu;
	struct source_keeper **keeper;
	uint64_t used_ticks, since_ns;
	unsigned long used_permille;
	unsigned int percentage;
};

/**
 * throttle_plan() - before the keeper is started
 * Return: -1 with CODE_REFUSED: the group has no limit of CPU time, or holds processes that are not the
 *	program's, or not all of the program
 */
int throttle_plan(struct throttle *throttle, pid_t root, struct error *err);

/** throttle_begin() - the rounds begin: from here on its CPU time is measured */
void throttle_begin(struct throttle *throttle);

/** throttle_step() - give it less. Return: false: there is no less, or it cannot be had, which is said */
bool throttle_step(struct throttle *throttle);

/** throttle_end() - give it back all; nothing when nothing was taken. The keeper does so too when the helper dies */
void throttle_end(struct throttle *throttle);

#endif
