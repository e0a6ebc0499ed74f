/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program is taken into one control group, and each process goes back to the group that it was in.
 * Such a home is the group's @home or a group below it: @sub is its path from there, "" or "/a/b".
 *
 * Below the group is a mirror of these homes, whose leaves hold the processes: so a process that has only
 * the plain struct cgroup, as a keeper that is left alone, can put all of them back. No group has both
 * processes and groups below it: cgroup v2 calls such a group frozen when one of both is.
 */
#ifndef MIGRATE_OS_CGROUP_HOMES_H
#define MIGRATE_OS_CGROUP_HOMES_H

#include "os/cgroup.h"

#define CGROUP_SUB_BYTES	1024	/* of a path from home, with the final 0 */

/**
 * cgroup_homes_sub() - find the home of a process that is at home or in the group
 * @line: of the process, as in /proc/PID/cgroup
 * @inside: set when the process is in the group
 * Return: 0, or -1: the process is in another group
 */
int cgroup_homes_sub(const struct cgroup *group, const char *line, char sub[CGROUP_SUB_BYTES],
		     bool *inside);

/** cgroup_homes_is_sub() - a path from home that another machine sent can be one */
bool cgroup_homes_is_sub(const char *sub);

/** cgroup_homes_add() - move process @pid, whose home is @sub, into the group; -1 with errno */
int cgroup_homes_add(const struct cgroup *group, pid_t pid, const char *sub);

/**
 * cgroup_homes_back() - move process @pid to its home, which is made when it was removed meanwhile
 * Return: 0, or -1 with errno
 */
int cgroup_homes_back(const struct cgroup *group, pid_t pid);

#endif
