/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The limit of CPU time of a control group: cpu.max with cgroup v2, cpu.cfs_quota_us with v1. The limit of the group
 * that the program is in is lowered for a while, and no group is made for that. The reasons:
 *
 * - cgroup v2 gives no group controllers whose processes are in the group itself: all of the program would have
 *   to move to a group below, and back again. The kernel waits for all CPUs at each move.
 * - A program that is worth moving has a group of its own: a service, a container, a scope.
 * - One number is changed, and one is to be put back. That can be done by a process that knows nothing else, and by
 *   a person.
 *
 * Limits of groups above hold all the same, since the kernel goes by the lowest. So do those below with v2; v1 allows no
 * group less than it has allowed one below.
 *
 * struct cgroup_cpu is plain data, as struct cgroup is.
 */
#ifndef MIGRATE_OS_CGROUP_CPU_H
#define MIGRATE_OS_CGROUP_CPU_H

#include "os/cgroup.h"

#define CGROUP_CPU_STEPS	8	/* most calls of cgroup_cpu_set() before cgroup_cpu_restore() */

/**
 * struct cgroup_cpu - the limit of one group; filled by cgroup_cpu_plan()
 * @kind: CGROUP_NONE: not planned
 * @dir: directory of the group
 * @line: path of the group, as in /proc/PID/cgroup
 * @old_us: CPU time in @period_us, before the first cgroup_cpu_set(); -1: as much as there is
 * @set_us, @nr: what cgroup_cpu_set() wrote
 */
struct cgroup_cpu {
	enum cgroup_kind kind;
	char dir[PATH_MAX], line[PATH_MAX];
	long old_us, period_us, set_us[CGROUP_CPU_STEPS];
	unsigned int nr;
};

/** cgroup_cpu_plan() - the group of @pid; -1 with CODE_REFUSED: it has no limit that can be set */
int cgroup_cpu_plan(struct cgroup_cpu *cpu, pid_t pid, struct error *err);

/** cgroup_cpu_has() - process @pid is in the group or below it, or has ended */
bool cgroup_cpu_has(const struct cgroup_cpu *cpu, pid_t pid);

/**
 * cgroup_cpu_share() - CPU time in a period that is @permille of one CPU
 *
 * The kernel allows no less than a millisecond, which is a hundredth of a CPU as a rule.
 * Return: 0: that is no less than the group has already, or it was set too often
 */
long cgroup_cpu_share(const struct cgroup_cpu *cpu, unsigned long permille);

/** cgroup_cpu_look() - before the first cgroup_cpu_set(): the limit that the group has now; -1 with errno */
int cgroup_cpu_look(struct cgroup_cpu *cpu);

/**
 * cgroup_cpu_set() - let the group have @quota_us in a period, from cgroup_cpu_share()
 *
 * CODE_REFUSED when somebody else has set a limit meanwhile, or the group has less already.
 */
int cgroup_cpu_set(struct cgroup_cpu *cpu, long quota_us, struct error *err);
/** cgroup_cpu_note() - another process with a copy of @cpu calls cgroup_cpu_set(): this one can undo it too */
void cgroup_cpu_note(struct cgroup_cpu *cpu, long quota_us);

/**
 * cgroup_cpu_restore() - undo cgroup_cpu_set(), also twice, or when it was never called
 *
 * A limit that somebody else has set meanwhile stays. So does the end of the group: that is no failure.
 */
int cgroup_cpu_restore(struct cgroup_cpu *cpu, struct error *err);

#define CGROUP_CPU_UNDO_BYTES	(PATH_MAX + 64)

/** cgroup_cpu_undo_command() - shell command that gives the group its CPU time back, for messages */
void cgroup_cpu_undo_command(const struct cgroup_cpu *cpu, char *text, size_t size);

#endif
