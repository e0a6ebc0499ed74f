// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "os/cgroup_members.h"
#include "os/migration_dirs.h"
#include "os/proc.h"
#include "source/record.h"

static const char *const names[] = { [RECORD_GUARD] = "guard", [RECORD_COMMIT] = "commit" };

void record_path(const char *dir, enum record_kind kind, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", dir, names[kind]);
}

/* The name is ID-source. */
void record_id(const char *dir, char id[LEDGER_ID_BYTES])
{
	const char *name = strrchr(dir, '/');

	snprintf(id, LEDGER_ID_BYTES, "%s", name ? name + 1 : dir);
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -1;
	ret = fsync(fd);
	close(fd);
	return ret;
}

static int write_text(int fd, const struct record *record)
{
	const struct guard *guard = &record->guard;

	return dprintf(fd,
		       "pid %d\nstart %" PRIu64 "\nto %s\nstopped %d\nsignalled %d\n"
		       "kind %d\nhome %s\nline %s\ngroup %s\ncriu-kind %d\ncriu-group %s\n"
		       "tcp-filter %s\ninside %d\n",
		       guard->pid, record->start_ticks, record->to, guard->was_stopped,
		       guard->signalled, guard->group.kind, guard->group.home, guard->group.line,
		       guard->group.dir, guard->criu.kind, guard->criu.dir,
		       record->connections.filter, record->connections.inside) < 0 ? -1 : 0;
}

int record_write(const char *dir, enum record_kind kind, const struct record *record,
		 struct error *err)
{
	char path[PATH_MAX], temp[PATH_MAX + 8];
	int fd;

	record_path(dir, kind, path, sizeof(path));
	snprintf(temp, sizeof(temp), "%s.new", path);
	fd = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && !flock(fd, LOCK_SH) && !write_text(fd, record) && !fsync(fd) &&
	    !rename(temp, path) && !sync_dir(dir))
		return fd;
	error_errno(err, CODE_INTERNAL, NULL, "cannot write the record %s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

int record_lock(const char *dir, enum record_kind kind)
{
	char path[PATH_MAX];
	int fd;

	record_path(dir, kind, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool record_is_alone(const char *dir, enum record_kind kind)
{
	int fd = record_lock(dir, kind);
	bool alone;

	if (fd < 0)
		return false;
	alone = !flock(fd, LOCK_EX | LOCK_NB);
	close(fd);
	return alone;
}

int record_remove(const char *dir, enum record_kind kind, struct error *err)
{
	char path[PATH_MAX];

	record_path(dir, kind, path, sizeof(path));
	if ((unlink(path) && errno != ENOENT) || sync_dir(dir))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot take back the record %s",
				   path);
	return 0;
}

static void read_line(char *line, struct record *record)
{
	struct guard *guard = &record->guard;
	char *value = strchr(line, ' ');
	size_t len = strlen(line);

	if (!value)
		return;
	if (len && line[len - 1] == '\n')
		line[len - 1] = 0;
	*value++ = 0;
	if (!strcmp(line, "pid"))
		guard->pid = atoi(value);
	else if (!strcmp(line, "start"))
		record->start_ticks = strtoull(value, NULL, 10);
	else if (!strcmp(line, "to"))
		snprintf(record->to, sizeof(record->to), "%s", value);
	else if (!strcmp(line, "stopped"))
		guard->was_stopped = atoi(value);
	else if (!strcmp(line, "signalled"))
		guard->signalled = atoi(value);
	else if (!strcmp(line, "kind"))
		guard->group.kind = atoi(value);
	else if (!strcmp(line, "home"))
		snprintf(guard->group.home, sizeof(guard->group.home), "%s", value);
	else if (!strcmp(line, "line"))
		snprintf(guard->group.line, sizeof(guard->group.line), "%s", value);
	else if (!strcmp(line, "group"))
		snprintf(guard->group.dir, sizeof(guard->group.dir), "%s", value);
	else if (!strcmp(line, "criu-kind"))
		guard->criu.kind = atoi(value);
	else if (!strcmp(line, "criu-group"))
		snprintf(guard->criu.dir, sizeof(guard->criu.dir), "%s", value);
	else if (!strcmp(line, "inside"))
		record->connections.inside = atoi(value);
	else if (!strcmp(line, "tcp-filter"))
		snprintf(record->connections.filter, sizeof(record->connections.filter), "%s", value);
}

int record_read(const char *dir, enum record_kind kind, struct record *record,
		struct error *err)
{
	char path[PATH_MAX], *line = NULL;
	size_t cap = 0;
	FILE *file;

	memset(record, 0, sizeof(*record));
	record->guard.pidfd = record->guard.lock_fd = -1;
	record_path(dir, kind, path, sizeof(path));
	file = fopen(path, "re");
	if (!file)
		return error_errno(err, CODE_TARGET, NULL, "there is no record %s", path);
	while (getline(&line, &cap, file) > 0)
		read_line(line, record);
	free(line);
	fclose(file);
	if (record->guard.pid <= 0 || !record->start_ticks)
		return error_set(err, CODE_INTERNAL, NULL, "the record %s is damaged", path);
	return 0;
}

bool record_process_is(const struct record *record)
{
	struct error ignored = { 0 };
	struct proc_status status;

	return !proc_status_read(record->guard.pid, &status, &ignored) &&
	       status.start_ticks == record->start_ticks && status.state != 'Z';
}

bool record_stands(const struct record *record)
{
	return record_process_is(record) || !cgroup_is_empty(&record->guard.group);
}

/** struct walk - of all records */
struct walk {
	record_fn fn;
	void *ctx;
};

static int take_dir(void *ctx, const char *dir)
{
	const struct walk *walk = ctx;
	enum record_kind kind = RECORD_COMMIT;
	struct error ignored = { 0 };
	struct record record;

	if (record_read(dir, kind, &record, &ignored))
		kind = RECORD_GUARD;
	if (kind == RECORD_GUARD && record_read(dir, kind, &record, &ignored))
		return 0;
	return walk->fn(walk->ctx, dir, kind, &record);
}

int record_each(const char *base, record_fn fn, void *ctx)
{
	return migration_dirs_each(base, MIGRATION_DIR_SOURCE, take_dir, &(struct walk){ fn, ctx });
}
