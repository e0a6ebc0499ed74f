// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/cgroup_homes.h"
#include "os/cgroup_mounts.h"
#include "os/cgroup_ns.h"
#include "os/proc.h"
#include "source/refuse.h"

#define GROUPS_BYTES	16384	/* of /proc/PID/cgroup */

/**
 * struct knob - a file of a control group that limits its processes
 * @none: beginning of the file's text when there is no limit; "": an empty file
 */
struct knob {
	const char *name, *none;
};

static const struct knob v2_knobs[] = {
	{ "memory.max", "max" }, { "memory.high", "max" }, { "memory.swap.max", "max" },
	{ "memory.zswap.max", "max" }, { "memory.min", "0" }, { "memory.low", "0" },
	{ "pids.max", "max" }, { "cpu.max", "max" }, { "cpu.weight", "100" },
	{ "cpu.idle", "0" }, { "cpu.uclamp.min", "0.00" }, { "cpu.uclamp.max", "max" },
	{ "cpuset.cpus", "" }, { "cpuset.mems", "" }, { "io.max", "" }, { "io.latency", "" },
	{ "io.weight", "default 100" }, { 0 }
};

/* The kernel shows "no limit" as 0x7ffffffffffff000, the largest number of bytes in whole pages. */
static const struct knob v1_knobs[] = {
	{ "memory.limit_in_bytes", "9223372036854771712" },
	{ "memory.soft_limit_in_bytes", "9223372036854771712" },
	{ "memory.memsw.limit_in_bytes", "9223372036854771712" },
	{ "memory.kmem.limit_in_bytes", "9223372036854771712" },
	{ "pids.max", "max" }, { "cpu.cfs_quota_us", "-1" }, { "cpu.shares", "1024" },
	{ "blkio.throttle.read_bps_device", "" }, { "blkio.throttle.write_bps_device", "" },
	{ 0 }
};

/** struct found - where find_mount() stores the mount point of the first mount */
struct found {
	char *dir;
	size_t size;
};

static bool take_first(void *ctx, const char *point, const char *root)
{
	struct found *found = ctx;

	snprintf(found->dir, found->size, "%s", point);
	return true;
}

/* Return: false when no hierarchy with @controllers ("": version 2) is mounted */
static bool find_mount(const char *controllers, char *dir, size_t size)
{
	struct found found = { dir, size };

	return cgroup_mounts_walk(CGROUP_MOUNTINFO, controllers, take_first, &found);
}

static void find_limit(struct inspection *look, const char *mount, const char *group,
		       const struct knob *knob)
{
	char path[2 * PATH_MAX], value[128] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s%s/%s", mount, group, knob->name);
	file = fopen(path, "re");
	if (!file)
		return;
	if (!fgets(value, sizeof(value), file))
		*value = 0;
	fclose(file);
	value[strcspn(value, "\n")] = 0;
	if (*knob->none ? strncmp(value, knob->none, strlen(knob->none)) : *value)
		losses_add(look->losses, LOSS_CGROUP_LIMIT, "%s is %s in %s", knob->name, value,
			   group);
}

/* Add the limits of the program's group and of its ancestors. The root group has no limits. */
static void find_limits(struct inspection *look, const char *controllers, const char *path)
{
	const struct knob *knobs = *controllers ? v1_knobs : v2_knobs;
	char mount[PATH_MAX], group[PATH_MAX], *end;

	if (!find_mount(controllers, mount, sizeof(mount)))
		return;
	snprintf(group, sizeof(group), "%s", path);
	while (group[0] == '/' && group[1]) {
		for (const struct knob *knob = knobs; knob->name; knob++)
			find_limit(look, mount, group, knob);
		end = strrchr(group, '/');
		*end = 0;
	}
}

/* Return: false with errno when /proc/PID/cgroup cannot be read */
static bool read_groups(pid_t pid, char *text, size_t size)
{
	char name[32];
	FILE *file;
	size_t n;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	file = fopen(name, "re");
	if (!file)
		return false;
	n = fread(text, 1, size - 1, file);
	text[n] = 0;
	fclose(file);
	return true;
}

static void find_in_line(struct inspection *look, char *line)
{
	char controllers[256] = "", *path;

	if (sscanf(line, "%*u:%255[^:]:", controllers) != 1 && !strstr(line, "::"))
		return;
	path = strchr(strchr(line, ':') + 1, ':');
	/* a group outside of the helper's cgroup namespace, and the root group */
	if (!path || !strncmp(path + 1, "/..", 3) || !path[2])
		return;
	/* version 1 has a path for each hierarchy; losses_add() keeps equal paths once */
	losses_add(look->losses, LOSS_CGROUP, "%s", path + 1);
	find_limits(look, controllers, path + 1);
}

/* The root has been looked at before all others: hundreds of processes in its groups need not have their limits read. */
int refuse_cgroup(struct inspection *look, struct error *err)
{
	pid_t pid = look->process->pid, root = tree_root(look->tree)->pid;
	char text[GROUPS_BYTES], of_root[GROUPS_BYTES], *at = text, *line;

	if (!read_groups(pid, text, sizeof(text)))
		return error_errno(err, proc_is_gone(errno) ? CODE_TARGET : CODE_INTERNAL, NULL,
				   "cannot open /proc/%d/cgroup", pid);
	if (pid != root && read_groups(root, of_root, sizeof(of_root)) && !strcmp(text, of_root))
		return 0;
	while ((line = strsep(&at, "\n")))
		if (*line)
			find_in_line(look, line);
	return 0;
}

bool has_own_cgroup_ns(const struct tree *tree)
{
	ino_t namespace = proc_ns(tree_root(tree)->pid, "cgroup");

	return namespace && namespace != proc_ns(0, "cgroup");
}

/* The destination puts processes into groups of the one hierarchy that it freezes them in. */
static bool is_carried(pid_t pid, const char *sub)
{
	struct cgroup group;
	char name[48];

	snprintf(name, sizeof(name), "migrate-helper-looks-%d", pid);
	cgroup_plan(&group, pid, CGROUP_BELOW, name);
	return group.kind == CGROUP_V2 && cgroup_homes_is_sub(sub);
}

void refuse_cgroup_ns(const struct inspection *look, struct refusals *refusals)
{
	pid_t pid = look->process->pid;
	char sub[PATH_MAX];

	if (look->process != tree_root(look->tree) || !has_own_cgroup_ns(look->tree))
		return;
	if (cgroup_ns_top(pid, sub, sizeof(sub)))
		refuse(refusals, NULL, "the cgroup namespace of process %d cannot be read: %s", pid,
		       strerror(errno));
	else if (*sub && !is_carried(pid, sub))
		refuse(refusals, "let it make the namespace when it is in its group (unshare --cgroup)",
		       "process %d is in %s of its cgroup namespace, and not in the group that this begins with",
		       pid, sub);
}
