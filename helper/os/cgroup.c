// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/io.h"
#include "os/affinity.h"
#include "os/cgroup.h"
#include "os/cgroup_mounts.h"
#include "os/proc.h"

#define MOUNT_POINT		"/sys/fs/cgroup"
#define FREEZE_TIMEOUT_MS	10000
#define PATH_BYTES		(PATH_MAX + 128)

static void sleep_ms(int ms)
{
	struct timespec tick = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&tick, NULL);
}

static int write_file(const char *dir, const char *name, const char *text)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return io_write_text(path, text);
}

/* Return: true when a line of the file is @wanted */
static bool file_says(const char *dir, const char *name, const char *wanted)
{
	char path[PATH_BYTES], line[64];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		found = !strcmp(line, wanted);
	}
	if (file)
		fclose(file);
	return found;
}

static const char *controller(enum cgroup_kind kind)
{
	return kind == CGROUP_V1 ? "freezer" : kind == CGROUP_V1_CPU ? "cpu" : "memory";
}

/* Return: PATH in "ID:CONTROLLERS:PATH" of /proc/PID/cgroup; NULL: not a hierarchy of @kind */
static char *line_path(char *line, enum cgroup_kind kind)
{
	char *controllers = strchr(line, ':'), *path;

	path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return NULL;
	*path++ = 0;
	path[strcspn(path, "\n")] = 0;
	if (kind == CGROUP_V2)
		return !strncmp(line, "0:", 2) && !controllers[1] ? path : NULL;
	return cgroup_list_has(controllers + 1, controller(kind)) ? path : NULL;
}

int cgroup_line(pid_t pid, enum cgroup_kind kind, char *line, size_t size)
{
	char *text = proc_text(pid, "cgroup"), *rest = text, *at, *path;
	bool found = false;

	if (!text)
		return -1;
	while (!found && (at = strsep(&rest, "\n"))) {
		path = line_path(at, kind);
		found = path && strlen(path) < size;
		if (found)
			strcpy(line, path);
	}
	free(text);
	errno = ENODATA;
	return found ? 0 : -1;
}

static const char *freeze_file(enum cgroup_kind kind)
{
	return kind == CGROUP_V2 ? "cgroup.freeze" : "freezer.state";
}

/* Make the group once, to see whether this machine allows it and has the freezer. */
static bool try_group(const struct cgroup *group)
{
	char path[PATH_BYTES];
	bool ok;

	if (mkdir(group->dir, 0755) && errno != EEXIST)
		return false;
	snprintf(path, sizeof(path), "%s/%s", group->dir, freeze_file(group->kind));
	ok = !access(path, W_OK);
	rmdir(group->dir);
	return ok;
}

/*
 * Fill @dir with the directory of the group @path below a mount of its hierarchy.
 * @point: mount point
 * @root: group that the mount point shows
 */
static int dir_at(const char *point, const char *root, const char *path, char *dir, size_t size)
{
	if (!strcmp(root, "/"))
		root = "";
	/* a group outside of @root has no directory below @point */
	if (strncmp(path, root, strlen(root)) || !strncmp(path, "/..", 3))
		return -1;
	path += strlen(root);
	if (!strcmp(path, "/"))
		path = "";
	if ((*path && *path != '/') || strlen(point) + strlen(path) >= size)
		return -1;
	stpcpy(stpcpy(dir, point), path);
	return 0;
}

static bool walk_mounts(enum cgroup_kind kind, cgroup_mount_fn fn, void *ctx)
{
	return cgroup_mounts_walk(CGROUP_MOUNTINFO, kind == CGROUP_V2 ? "" : controller(kind), fn,
				  ctx);
}

/** struct plan - argument of try_mount() */
struct plan {
	struct cgroup *group;
	enum cgroup_place place;
	const char *name;
};

static bool try_mount(void *ctx, const char *point, const char *root)
{
	struct plan *plan = ctx;
	struct cgroup *group = plan->group;

	if (dir_at(point, root, group->line, group->home, sizeof(group->home)) ||
	    snprintf(group->dir, sizeof(group->dir), "%s/%s",
		     plan->place == CGROUP_TOP ? point : group->home, plan->name) >=
	    (int)sizeof(group->dir))
		return false;
	return try_group(group);
}

int cgroup_plan(struct cgroup *group, pid_t pid, enum cgroup_place place, const char *name)
{
	static const enum cgroup_kind kinds[] = { CGROUP_V2, CGROUP_V1 };
	struct plan plan = { .group = group, .place = place, .name = name };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		memset(group, 0, sizeof(*group));
		group->kind = kinds[i];
		if (!cgroup_line(pid, kinds[i], group->line, sizeof(group->line)) &&
		    walk_mounts(kinds[i], try_mount, &plan))
			return 0;
	}
	memset(group, 0, sizeof(*group));
	return -1;
}

int cgroup_plan_mounted(struct cgroup *group, enum cgroup_place place, const char *name)
{
	if (!cgroup_plan(group, 0, place, name))
		return 0;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount("cgroup2", MOUNT_POINT, "cgroup2", 0, NULL))
		return -1;
	if (cgroup_plan(group, 0, place, name))
		return -1;
	group->own_mount = true;
	return 0;
}

void cgroup_hide(const struct cgroup *group)
{
	if (group->own_mount)
		umount2(MOUNT_POINT, MNT_DETACH);
}

/** struct where - argument of find_dir() */
struct where {
	char line[PATH_MAX];
	char *dir, *point;
	size_t dir_size, point_size;
};

static bool find_dir(void *ctx, const char *point, const char *root)
{
	struct where *where = ctx;

	if (strlen(point) >= where->point_size ||
	    dir_at(point, root, where->line, where->dir, where->dir_size))
		return false;
	strcpy(where->point, point);
	return true;
}

int cgroup_dir(pid_t pid, enum cgroup_kind kind, char *dir, size_t dir_size, char *point,
	       size_t point_size)
{
	struct where where = { .dir = dir, .dir_size = dir_size, .point = point,
			       .point_size = point_size };

	return !cgroup_line(pid, kind, where.line, sizeof(where.line)) &&
	       walk_mounts(kind, find_dir, &where) ? 0 : -1;
}

int cgroup_make(const struct cgroup *group, struct error *err)
{
	if (group->kind == CGROUP_NONE)
		return error_set(err, CODE_NOT_READY, "mount -t cgroup2 none /sys/fs/cgroup",
				 "this machine has no control groups that can freeze a program");
	if (mkdir(group->dir, 0755) && errno != EEXIST)
		return error_errno(err, CODE_NOT_READY, NULL, "cannot make control group %s",
				   group->dir);
	return 0;
}

bool cgroup_exists(const struct cgroup *group)
{
	return group->kind != CGROUP_NONE && !access(group->dir, F_OK);
}

int cgroup_move(const char *dir, pid_t pid)
{
	struct affinity affinity = { 0 };
	char text[16];
	int ret;

	snprintf(text, sizeof(text), "%d", pid);
	if (pid)
		affinity_save(&affinity, pid);
	ret = write_file(dir, "cgroup.procs", text);
	affinity_restore(&affinity);
	return ret;
}

int cgroup_add(const struct cgroup *group, pid_t pid)
{
	return cgroup_move(group->dir, pid);
}

static bool is_frozen(const struct cgroup *group)
{
	return group->kind == CGROUP_V2 ? file_says(group->dir, "cgroup.events", "frozen 1") :
					  file_says(group->dir, "freezer.state", "FROZEN");
}

bool cgroup_is_frozen_above(const struct cgroup *group)
{
	if (group->kind == CGROUP_V2)
		return is_frozen(group) && !cgroup_is_told_to_freeze(group);
	return file_says(group->dir, "freezer.parent_freezing", "1");
}

int cgroup_wait_frozen(const struct cgroup *group, struct error *err)
{
	for (int ms = 0; ms < FREEZE_TIMEOUT_MS; ms++) {
		if (is_frozen(group))
			return 0;
		sleep_ms(1);
	}
	return error_set(err, CODE_INTERNAL, NULL,
			 "the processes in control group %s did not freeze within %d s",
			 group->dir, FREEZE_TIMEOUT_MS / 1000);
}

int cgroup_freeze(const struct cgroup *group, struct error *err)
{
	if (write_file(group->dir, freeze_file(group->kind),
		       group->kind == CGROUP_V2 ? "1" : "FROZEN"))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot freeze control group %s",
				   group->dir);
	return cgroup_wait_frozen(group, err);
}

bool cgroup_is_told_to_freeze(const struct cgroup *group)
{
	return group->kind != CGROUP_NONE &&
	       file_says(group->dir, group->kind == CGROUP_V2 ? "cgroup.freeze" :
			 "freezer.self_freezing", "1");
}

void cgroup_thaw_command(const struct cgroup *group, char *text, size_t size)
{
	snprintf(text, size, "echo %s >%.200s/%s", group->kind == CGROUP_V2 ? "0" : "THAWED",
		 group->dir, freeze_file(group->kind));
}

int cgroup_thaw(const struct cgroup *group, struct error *err)
{
	char command[sizeof(err->hint)];

	if (!write_file(group->dir, freeze_file(group->kind),
			group->kind == CGROUP_V2 ? "0" : "THAWED"))
		return 0;
	cgroup_thaw_command(group, command, sizeof(command));
	return error_errno(err, CODE_INTERNAL, command, "cannot thaw control group %s",
			   group->dir);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_DP)
		rmdir(path);
	return 0;
}

int cgroup_remove(const struct cgroup *group, int timeout_ms)
{
	if (group->kind == CGROUP_NONE)
		return 0;
	for (int ms = 0; rmdir(group->dir) && errno != ENOENT; ms += 10) {
		/* groups below it */
		nftw(group->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		if (!cgroup_exists(group))
			return 0;
		errno = EBUSY;
		if (errno != EBUSY || ms >= timeout_ms)
			return -1;
		sleep_ms(10);
	}
	return 0;
}
