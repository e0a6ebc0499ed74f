// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>
#include "dest/arrived.h"
#include "os/migration_dirs.h"

#define FILE_NAME	"arrived"

static json_t *object_json(struct mm *mm)
{
	json_t *object;

	mm_lock(mm);
	object = json_pack("{s:I,s:I}", "id", (json_int_t)mm->id, "pages", (json_int_t)mm->mirror.have.nr);
	mm_unlock(mm);
	if (!mm->shm)
		json_object_set_new(object, "pid", json_integer(mm->pid));
	return object;
}

static json_t *to_json(uint32_t round, struct objects *objects)
{
	json_t *list = json_array();
	struct mm *mm = NULL;

	while ((mm = objects_next(objects, mm)))
		json_array_append_new(list, object_json(mm));
	return json_pack("{s:I,s:o}", "round", (json_int_t)round, "objects", list);
}

void arrived_write(struct arrived *arrived, const struct owned_dir *dir, uint32_t round, struct objects *objects)
{
	char path[PATH_MAX], temp[PATH_MAX + 8];
	json_t *json;
	int fd;

	if (!*dir->path)
		return;
	snprintf(path, sizeof(path), "%s/" FILE_NAME, dir->path);
	snprintf(temp, sizeof(temp), "%s.new", path);
	fd = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	json = to_json(round, objects);
	if (flock(fd, LOCK_SH) || json_dumpfd(json, fd, JSON_COMPACT) || rename(temp, path)) {
		unlink(temp);
		close(fd);
	} else {
		arrived_close(arrived);
		arrived->fd = fd;
	}
	json_decref(json);
}

void arrived_close(struct arrived *arrived)
{
	if (arrived->fd >= 0)
		close(arrived->fd);
	arrived->fd = -1;
}

/** struct walk - of all that arrives */
struct walk {
	arrived_fn fn;
	void *ctx;
};

static int take_dir(void *ctx, const char *dir)
{
	const struct walk *walk = ctx;
	char path[PATH_MAX];
	json_t *json = NULL;
	int fd, ret = 0;

	if (snprintf(path, sizeof(path), "%s/" FILE_NAME, dir) >= (int)sizeof(path))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	/* the writer has a shared lock */
	if (flock(fd, LOCK_EX | LOCK_NB))
		json = json_loadfd(fd, 0, NULL);
	close(fd);
	if (json)
		ret = walk->fn(walk->ctx, dir, json);
	json_decref(json);
	return ret;
}

int arrived_each(const char *base, arrived_fn fn, void *ctx)
{
	return migration_dirs_each(base, MIGRATION_DIR_DEST, take_dir, &(struct walk){ fn, ctx });
}
