/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A control group of this program's own: to freeze the processes in it, to keep CRIU out of
 * other groups' limits, to kill what is in it.
 *
 * struct cgroup is plain data. Each process that has a copy of it can act on the group, so a
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
 * @CGROUP_NONE: there is no group: this machine has no hierarchy that can be used
 * @CGROUP_V2: cgroup v2, which freezes by cgroup.freeze
 * @CGROUP_V1: the hierarchy of cgroup v1 that has the freezer, which freezes by freezer.state
 * @CGROUP_V1_MEMORY: the hierarchy of cgroup v1 that limits memory; only for cgroup_line() and
 *	cgroup_dir()
 */
enum cgroup_kind { CGROUP_NONE, CGROUP_V2, CGROUP_V1, CGROUP_V1_MEMORY };

/** enum cgroup_place - where a group is made */
enum cgroup_place {
	CGROUP_BELOW,	/* below the group of the process, so that its limits hold */
	CGROUP_TOP,	/* at the top of the hierarchy, so that no other group's limits hold */
};

/**
 * struct cgroup - filled by cgroup_plan()
 * @home: directory of the group that the process was in, to which processes go back
 * @line: path of that group, as /proc/PID/cgroup has it
 * @dir: directory of the group itself
 * @own_mount: the hierarchy is mounted in the caller's own mount namespace only
 */
struct cgroup {
	enum cgroup_kind kind;
	bool own_mount;
	char home[PATH_MAX];
	char line[PATH_MAX];
	char dir[PATH_MAX + 80];
};

/**
 * cgroup_plan() - find a hierarchy that can be used; nothing is left of the trial
 * @pid: the process that says where home is; 0: the caller
 * @name: of the group
 * Return: 0, or -1 with CGROUP_NONE: no hierarchy can be used
 */
int cgroup_plan(struct cgroup *group, pid_t pid, enum cgroup_place place, const char *name);

/**
 * cgroup_plan_mounted() - cgroup_plan(), in a mount namespace of the caller's own if need be
 *
 * Some services see no control groups, or none that can be written (`ip netns exec`,
 * ProtectControlGroups=). The kernel has them all the same. So the caller, which has one thread,
 * leaves its mount namespace and mounts cgroup v2 where no other process sees it.
 */
int cgroup_plan_mounted(struct cgroup *group, enum cgroup_place place, const char *name);

/** cgroup_hide() - take the mount of cgroup_plan_mounted() out of the caller's mount namespace */
void cgroup_hide(const struct cgroup *group);

/** cgroup_make() - make the planned group; one that is there already will do */
int cgroup_make(const struct cgroup *group, struct error *err);

/** cgroup_exists() - the group was made and not removed yet */
bool cgroup_exists(const struct cgroup *group);

/** cgroup_add() - move process @pid (0: the caller) into the group; -1 with errno */
int cgroup_add(const struct cgroup *group, pid_t pid);

/** cgroup_back() - move process @pid to the group's home; -1 with errno */
int cgroup_back(const struct cgroup *group, pid_t pid);

/** cgroup_freeze() - return when no process of the group runs; 10 s at most */
int cgroup_freeze(const struct cgroup *group, struct error *err);

/** cgroup_wait_frozen() - after cgroup_freeze(): until a process that left a ptrace stop stands */
int cgroup_wait_frozen(const struct cgroup *group, struct error *err);

/** cgroup_is_told_to_freeze() - the group is there, and was not thawed since cgroup_freeze() */
bool cgroup_is_told_to_freeze(const struct cgroup *group);

int cgroup_thaw(const struct cgroup *group, struct error *err);

/**
 * cgroup_kill() - SIGKILL to every process of the group, frozen or not
 *
 * A process that the v1 freezer holds dies when it is thawed: so the group is thawed after the
 * signals are pending, and no process of it runs any more.
 */
void cgroup_kill(const struct cgroup *group);

/**
 * cgroup_pids() - processes of the group
 * @pids: filled, free() it; NULL when there are none
 * Return: how many, 0 also when they cannot be read
 */
size_t cgroup_pids(const struct cgroup *group, pid_t **pids);

/** cgroup_has() - process @pid is in the group */
bool cgroup_has(const struct cgroup *group, pid_t pid);

/** cgroup_empty() - move all processes to the group's home; -1 when one cannot be moved */
int cgroup_empty(const struct cgroup *group);

/**
 * cgroup_remove() - remove the group
 * @timeout_ms: how long to wait for the end of processes that are in it
 * Return: 0 when the group is not there any more
 */
int cgroup_remove(const struct cgroup *group, int timeout_ms);

/** cgroup_line() - path of the group of @pid in a hierarchy of @kind; -1: it has none */
int cgroup_line(pid_t pid, enum cgroup_kind kind, char *line, size_t size);

/**
 * cgroup_dir() - directory of the group of @pid (0: the caller)
 * @point: filled with the directory where the hierarchy is mounted, which @dir begins with
 * Return: -1 when there is none that can be seen from here
 */
int cgroup_dir(pid_t pid, enum cgroup_kind kind, char *dir, size_t dir_size, char *point,
	       size_t point_size);

/** cgroup_thaw_command() - what a person types to thaw the group, for messages */
void cgroup_thaw_command(const struct cgroup *group, char *text, size_t size);

#endif
