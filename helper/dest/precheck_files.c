// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dest/precheck_files.h"
#include "dest/probe.h"
#include "os/safe_path.h"

#define MODE_BITS	07777

int (*precheck_open)(const char *root, const char *path) = safe_path_open;
int precheck_files_ms = 10000;

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A source that could ask for one path with many sizes would learn the file's size. */
static bool are_files_asked_once(const Migrate__Setup *setup)
{
	size_t nr = setup->n_files;
	char **paths = nr > PRECHECK_MAX_FILES ? NULL : calloc(nr + 1, sizeof(*paths));
	bool once = paths != NULL;

	for (size_t i = 0; i < nr && once; i++) {
		paths[i] = setup->files[i]->path;
		once = *paths[i] == '/' && strlen(paths[i]) < PATH_MAX;
	}
	if (once)
		qsort(paths, nr, sizeof(*paths), compare_paths);
	for (size_t i = 1; i < nr && once; i++)
		once = strcmp(paths[i - 1], paths[i]);
	free(paths);
	return once;
}

/**
 * struct file_probe - the questions about files
 * @ids: identity of the file of each question; the child that asks has its own copy
 */
struct file_probe {
	const Migrate__Setup *setup;
	struct file_id {
		dev_t dev;
		ino_t ino;
		bool known;
	} *ids;
};

/* One file has many paths: a source could ask for each path with another size. */
static bool is_asked_otherwise(const struct file_probe *probe, size_t i)
{
	const Migrate__MappedFile *file = probe->setup->files[i], *other;
	const struct file_id *id = &probe->ids[i];

	for (size_t j = 0; j < i; j++) {
		if (!probe->ids[j].known || probe->ids[j].ino != id->ino ||
		    probe->ids[j].dev != id->dev)
			continue;
		other = probe->setup->files[j];
		if ((file->has_mode && other->has_mode && file->mode != other->mode) ||
		    (!file->any_size && !other->any_size && file->bytes != other->bytes))
			return true;
	}
	return false;
}

static bool is_as_asked(const struct file_probe *probe, size_t i, const struct stat *st)
{
	const Migrate__MappedFile *file = probe->setup->files[i];

	probe->ids[i] = (struct file_id){ .dev = st->st_dev, .ino = st->st_ino, .known = true };
	if (is_asked_otherwise(probe, i))
		return false;
	if (!file->has_mode)
		return S_ISREG(st->st_mode) || S_ISCHR(st->st_mode);
	return st->st_mode == file->mode &&
	       (file->any_size || (uint64_t)st->st_size == file->bytes);
}

/* As CRIU resolves the path: in the program's root, where it has a mount namespace of its own. */
static int open_file(const struct file_probe *probe, size_t i)
{
	return precheck_open(probe->setup->root ?: "/", probe->setup->files[i]->path);
}

/* Looks at any path of this machine, also on a file system without server: runs in a child. */
static bool is_same_file(const void *ctx, size_t i)
{
	const struct file_probe *probe = ctx;
	int fd = open_file(probe, i);
	struct stat st;
	bool same;

	if (fd < 0)
		return false;
	same = !fstat(fd, &st) && is_as_asked(probe, i, &st);
	close(fd);
	return same;
}

/* Of another file behind a link the source hears nothing: it may be a stranger. */
static bool is_behind_link(const void *ctx, size_t i)
{
	const struct file_probe *probe = ctx;
	int fd = open_file(probe, i);
	struct stat st;

	if (fd >= 0) {
		/* for the comparison of later files with this one */
		if (!fstat(fd, &st))
			is_as_asked(probe, i, &st);
		close(fd);
		return false;
	}
	return errno == ELOOP && !stat(probe->setup->files[i]->path, &st) &&
	       is_as_asked(probe, i, &st);
}

static const char *kind_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFIFO:
		return "FIFO";
	default:
		return "device";
	}
}

/* "the file /etc/x is open in the program as descriptor 3" */
static void say_use(const Migrate__MappedFile *file, char *text, size_t bytes)
{
	const char *kind = kind_name(file->mode);

	switch (file->use) {
	case MIGRATE__FILE_USE__FILE_OPEN:
		snprintf(text, bytes, "the %s %s is descriptor %d of the program", kind, file->path,
			 file->fd);
		break;
	case MIGRATE__FILE_USE__FILE_EXE:
		snprintf(text, bytes, "the file %s is the program itself", file->path);
		break;
	case MIGRATE__FILE_USE__FILE_CWD:
		snprintf(text, bytes, "the directory %s is the program's working directory",
			 file->path);
		break;
	case MIGRATE__FILE_USE__FILE_ROOT:
		snprintf(text, bytes, "the directory %s is the program's root", file->path);
		break;
	case MIGRATE__FILE_USE__FILE_MOUNTED:
		snprintf(text, bytes, "the %s %s is mounted in the program's own mount namespace", kind,
			 file->path);
		break;
	case MIGRATE__FILE_USE__FILE_REPLACES_TTY:
		snprintf(text, bytes, "the file %s is to take the place of a terminal", file->path);
		break;
	default:
		snprintf(text, bytes, "the file %s is mapped by the program", file->path);
	}
}

/* The advice never overwrites an existing file. */
static void say_advice(const Migrate__MappedFile *file, char *text, size_t bytes)
{
	unsigned int mode = file->mode & MODE_BITS;

	if (file->use == MIGRATE__FILE_USE__FILE_REPLACES_TTY)
		snprintf(text, bytes, "make it here (touch)");
	else if (file->use == MIGRATE__FILE_USE__FILE_DATA)
		snprintf(text, bytes, "the program writes to it, so a copy gets old: both machines need the same storage there");
	else if (S_ISDIR(file->mode))
		snprintf(text, bytes, "make it here: mkdir -p, chmod %04o", mode);
	else if (S_ISFIFO(file->mode))
		snprintf(text, bytes, "make it here: mkfifo, chmod %04o", mode);
	else if (!S_ISREG(file->mode))
		snprintf(text, bytes, "make it here with mode %04o", mode);
	else if (file->any_size)
		snprintf(text, bytes, "make it here: touch, chmod %04o", mode);
	else if (file->use == MIGRATE__FILE_USE__FILE_OPEN)
		snprintf(text, bytes, "copy it here with its mode, %04o", mode);
	else
		snprintf(text, bytes, "install the same version here, with mode %04o", mode);
}

/* The source may be a stranger: missing and different files get the same answer, without size. */
static void refuse_file(const Migrate__MappedFile *file, bool linked, struct refusals *refusals)
{
	char use[PATH_MAX + 128], advice[128];
	const char *same = !file->has_mode ? "" :
			   file->any_size ? ", kind and mode" : ", kind, mode and size";

	say_use(file, use, sizeof(use));
	if (linked) {
		precheck_refuse(refusals, "%s, and a part of that path is here a symbolic link that another user than root can have made: have the file itself there, or make the link as root in a directory that only root can write to",
				use);
		return;
	}
	say_advice(file, advice, sizeof(advice));
	precheck_refuse(refusals, "%s, and here is none of that name%s: %s", use, same, advice);
}

static long ask(const Migrate__Setup *setup, size_t nr, probe_fn question, bool *answers)
{
	struct file_probe probe = { .setup = setup, .ids = calloc(nr + 1, sizeof(*probe.ids)) };
	long got = probe.ids ? probe_run(question, &probe, answers, nr, precheck_files_ms) : -1;

	free(probe.ids);
	return got;
}

static void compare_files(const Migrate__Setup *setup, bool *same, bool *linked,
			  struct refusals *refusals)
{
	size_t nr = setup->n_files;
	long got = ask(setup, nr, is_same_file, same);
	char use[PATH_MAX + 128];

	if (got < 0) {
		precheck_refuse(refusals, "cannot look for the program's files here: %s",
				strerror(errno));
		return;
	}
	if (got && memchr(same, false, got))
		ask(setup, got, is_behind_link, linked);
	for (long i = 0; i < got; i++)
		if (!same[i])
			refuse_file(setup->files[i], linked[i], refusals);
	if ((size_t)got == nr)
		return;
	say_use(setup->files[got], use, sizeof(use));
	precheck_refuse(refusals, "%s, and here its file system did not answer within %d s: is its server there?",
			use, precheck_files_ms / 1000);
}

void precheck_files(const Migrate__Setup *setup, struct refusals *refusals)
{
	bool *same, *linked;

	if (!are_files_asked_once(setup)) {
		precheck_refuse(refusals, "the list of files is wrong: at most %d absolute paths, each once, are taken",
				PRECHECK_MAX_FILES);
		return;
	}
	same = calloc(setup->n_files + 1, 2 * sizeof(*same));
	linked = same + setup->n_files;
	if (same)
		compare_files(setup, same, linked, refusals);
	else
		precheck_refuse(refusals, "no memory for a list of %zu files", setup->n_files);
	free(same);
}
