/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A cgroup namespace begins with the control groups of the process that makes it, one in each hierarchy: processes
 * in the namespace see these groups as "/". CRIU restores such a namespace only together with control groups that
 * CRIU makes itself, so the helper has it made.
 */
#ifndef MIGRATE_OS_CGROUP_NS_H
#define MIGRATE_OS_CGROUP_NS_H

#include "os/cgroup.h"

/**
 * cgroup_ns_top() - where process @pid is, as its own cgroup namespace shows it
 * @sub: filled: the first group that is not the one which the namespace begins with; "": there is none.
 *	As "/a", or with the controllers of a hierarchy of version 1 as "pids:/a"
 *
 * The caller forks for it. Return: 0, or -1 with errno
 */
int cgroup_ns_top(pid_t pid, char *sub, size_t size);

/**
 * cgroup_ns_enter() - the caller gets a namespace that begins with its present groups, then enters @group
 *
 * The caller has one thread. Return: 0, or -1 with errno
 */
int cgroup_ns_enter(const struct cgroup *group);

#endif
