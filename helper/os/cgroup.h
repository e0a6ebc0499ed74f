/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A control group that migrate-helper makes: to freeze or kill the processes in the group, and to
 * keep CRIU out of the limits of other groups.
 *
 * struct cgroup is plain data. A process with a copy of the struct can act on the group, so a
 * keeper can undo what its helper did, and the other way round.
 */
#ifndef MIGRATE_OS_CGROUP_H
#define MIGRATE_OS_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * enum cgroup_kind - the hierarchy that a group is in
 * @CGROUP_NONE: no group, since this machine has no usable hierarchy
 * @CGROUP_V2: cgroup v2; cgroup.freeze freezes
 * @CGROUP_V1: the freezer's hierarchy of cgroup v1; freezer.state freezes
 * @CGROUP_V1_MEMORY, @CGROUP_V1_CPU: the hierarchy of cgroup v1 with that controller; only for cgroup_line() and cgroup_dir()
 */
enum cgroup_kind { CGROUP_NONE, CGROUP_V2, CGROUP_V1, CGROUP_V1_MEMORY, CGROUP_V1_CPU };

/** enum cgroup_place - parent of a new group */
enum cgroup_place {
	CGROUP_BELOW,	/* below the group of the process: its limits hold */
	CGROUP_TOP,	/* at the top of the hierarchy: no other limits hold */
};

/**
 * struct cgroup - a planned or made group; filled by cgroup_plan()
 * @home: directory of the process's former group, to which cgroup_homes_back() moves processes
 * @line: path of the former group, as in /proc/PID/cgroup
 * @dir: directory of the group
 * @own_mount: only the caller's own mount namespace has the hierarchy mounted
 */
struct cgroup {
	enum cgroup_kind kind;
	bool own_mount;
	char home[PATH_MAX];
	char line[PATH_MAX];
	char dir[PATH_MAX + 80];
};

/**
 * cgroup_plan() - find a usable hierarchy, by a trial that leaves no group behind
 * @pid: process whose group becomes @group.home; 0: the caller
 * @name: name of the new group
 * Return: 0, or -1 with CGROUP_NONE: there is no usable hierarchy
 */
int cgroup_plan(struct cgroup *group, pid_t pid, enum cgroup_place place, const char *name);

/**
 * cgroup_plan_mounted() - cgroup_plan(), if need be in a new mount namespace of the caller
 *
 * Some services see no control groups, or read-only ones (`ip netns exec`, ProtectControlGroups=).
 * The function then moves the caller, which has one thread, to a new mount namespace, and mounts
 * cgroup v2 where no other process sees the mount.
 */
int cgroup_plan_mounted(struct cgroup *group, enum cgroup_place place, const char *name);

/** cgroup_hide() - unmount what cgroup_plan_mounted() has mounted */
void cgroup_hide(const struct cgroup *group);

/** cgroup_make() - make the planned group; 0 also when it exists already */
int cgroup_make(const struct cgroup *group, struct error *err);

/** cgroup_exists() - true from cgroup_make() to cgroup_remove() */
bool cgroup_exists(const struct cgroup *group);

/** cgroup_move() - move process @pid (0: the caller) into the group with directory @dir; -1 with errno */
int cgroup_move(const char *dir, pid_t pid);

/** cgroup_add() - cgroup_move() into the group */
int cgroup_add(const struct cgroup *group, pid_t pid);

/** cgroup_freeze() - freeze the group, and wait until no process of it runs; 10 s at most */
int cgroup_freeze(const struct cgroup *group, struct error *err);

/** cgroup_wait_frozen() - after cgroup_freeze(): wait for a process that has left a ptrace stop */
int cgroup_wait_frozen(const struct cgroup *group, struct error *err);

/**
 * cgroup_is_frozen_above() - a group above this one is frozen, so that thawing this one lets nobody run
 *
 * With cgroup v2 false is no answer while the group itself is told to freeze.
 */
bool cgroup_is_frozen_above(const struct cgroup *group);

/** cgroup_is_told_to_freeze() - true from cgroup_freeze() until a process thaws the group */
bool cgroup_is_told_to_freeze(const struct cgroup *group);

int cgroup_thaw(const struct cgroup *group, struct error *err);

/**
 * cgroup_remove() - remove the group and those below it
 * @timeout_ms: longest wait for the end of the group's processes
 * Return: 0 when the group does not exist any more
 */
int cgroup_remove(const struct cgroup *group, int timeout_ms);

/**
 * cgroup_line() - path of the group of @pid (0: the caller) in a hierarchy of @kind
 * Return: 0, or -1 with errno: ENOENT or ESRCH: no such process; ENODATA: no such hierarchy
 */
int cgroup_line(pid_t pid, enum cgroup_kind kind, char *line, size_t size);

/**
 * cgroup_dir() - directory of the group of @pid (0: the caller)
 * @point: filled with the mount point of the hierarchy, with which @dir begins
 * Return: 0; -1 when the caller's mount namespace does not show the group
 */
int cgroup_dir(pid_t pid, enum cgroup_kind kind, char *dir, size_t dir_size, char *point,
	       size_t point_size);

/** cgroup_thaw_command() - shell command that thaws the group, for messages */
void cgroup_thaw_command(const struct cgroup *group, char *text, size_t size);

#endif
