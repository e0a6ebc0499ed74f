// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/report.h"
#include "os/maps.h"
#include "os/ns_pids.h"
#include "os/proc_files.h"
#include "source/mounts.h"
#include "source/refuse.h"
#include "source/shm.h"
#include "source/tmpfs.h"
#include "wire/stream.h"

#define MEMFD_PREFIX	"memfd:"
#define SYSV_PREFIX	"/SYSV"
#define DELETED		" (deleted)"
#define MOST		(OBJECTS_MAX - OBJECTS_MAX / 8)	/* the other places are for processes that begin */
#define MOST_EVER	(OBJECTS_EVER / 2)
#define MOST_OF_TMPFS	(OBJECTS_MAX / 2)	/* others are in the image of their tmpfs */

static struct source_shm *find(const struct source_shms *shms, dev_t dev, uint64_t ino)
{
	for (size_t i = 0; i < shms->nr; i++)
		if (shms->list[i]->ino == ino && shms->list[i]->dev == dev && !shms->list[i]->gone)
			return shms->list[i];
	return NULL;
}

/* As CRIU names it: "memfd:" is the kernel's, and memfd_create() puts it in front again. */
static void name_of(int fd, char name[SHM_NAME_BYTES])
{
	char path[48], link[PATH_MAX];
	const char *from = link + 1;
	ssize_t n;
	char *end;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = 0;
	if (n <= 0)
		from = link;
	end = strstr(link, DELETED);
	while (end && end[strlen(DELETED)])
		end = strstr(end + 1, DELETED);
	if (end)
		*end = 0;
	if (!strncmp(from, MEMFD_PREFIX, strlen(MEMFD_PREFIX)))
		from += strlen(MEMFD_PREFIX);
	else if (*link)
		from = link;
	snprintf(name, SHM_NAME_BYTES, "%.*s", SHM_NAME_BYTES - 1, from);
}

static uint32_t huge_kib(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) || fs.f_type != HUGETLBFS_MAGIC ? 0 : fs.f_bsize >> 10;
}

/**
 * struct candidate - what may be an object; @name: of a file, NULL: it has none; @path: to open it; @sysv: a segment;
 *	@tmpfs: as in struct source_shm
 */
struct candidate {
	bool sysv;
	uint32_t tmpfs;
	dev_t dev;
	uint64_t ino;
	const char *name, *path;
};

static struct source_shm *shm_new(int fd, const struct candidate *from, struct error *err)
{
	struct source_shm *shm = calloc(1, sizeof(*shm));
	int seals = fcntl(fd, F_GET_SEALS);

	if (!shm) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for shared memory");
		return NULL;
	}
	shm->dev = from->dev;
	shm->ino = from->ino;
	shm->fd = fd;
	shm->named = from->name;
	shm->sysv = from->sysv;
	shm->tmpfs = from->tmpfs;
	shm->huge_kib = huge_kib(fd);
	shm->sealable = !shm->named && seals >= 0 && seals != F_SEAL_SEAL;
	if (from->name)
		snprintf(shm->name, sizeof(shm->name), "%s", from->name);
	else
		name_of(fd, shm->name);
	return shm;
}

static size_t living(const struct tree *tree)
{
	const struct source_process *process;
	size_t nr = 0;

	tree_for_each(tree, process)
		nr++;
	return nr;
}

/*
 * The destination lends its memory as descriptors of the init, /proc/1/fd. In a PID namespace of the program's own, with
 * a /proc of its own, that is the program's first process.
 */
static bool can_lend(const struct tree *tree)
{
	const struct source_process *root = tree_root(tree);

	return !tree->mounts || !tree->mounts->own || root->status.ns_pid != NS_INIT_PID;
}

/*
 * The destination has a place for so many objects and processes. What has none is CRIU's: its images have the
 * pages of memory without a name, but not of files.
 */
static bool has_place(struct source_shms *shms, const struct tree *tree, const struct candidate *from)
{
	if (!from->sysv && !can_lend(tree)) {
		if (!shms->left_out)
			report_say("the program has a PID and a mount namespace of its own: CRIU copies its shared memory, while it stands");
		shms->left_out = true;
		return false;
	}
	if (tree->last_object < MOST_EVER && shms->nr + living(tree) < MOST)
		return true;
	if (tree->last_object < MOST_EVER && shms_nr(shms) + living(tree) < MOST)
		return true;
	if (!shms->left_out)
		report_say("the program has more shared memory objects than are copied while it runs: beyond %zu CRIU copies them, while it stands",
			   shms_nr(shms));
	shms->left_out = true;
	return false;
}

static bool has_place_in_tmpfs(const struct source_shms *shms, const struct tree *tree)
{
	size_t nr = 0;

	for (size_t i = 0; i < shms->nr; i++)
		nr += shms->list[i]->tmpfs && !shms->list[i]->gone;
	return nr < MOST_OF_TMPFS && tree->last_object < MOST_EVER && shms->nr + living(tree) < MOST;
}

static int leave_out(const struct source_shms *shms, const struct tree *tree,
		     const struct candidate *from, struct error *err)
{
	if (!from->name || from->tmpfs)
		return 0;
	if (!can_lend(tree))
		return error_set(err, CODE_REFUSED, "mount a tmpfs of its own at /dev/shm in its mount namespace",
				 "the program has a PID and a mount namespace of its own, and maps %s, which is outside of them",
				 from->name);
	return error_set(err, CODE_REFUSED, "let it have fewer of them",
			 "the program has %zu shared memory objects, and no place is left for %s",
			 shms_nr(shms), from->name);
}

/* The id of a segment is its inode's number, and both kinds have inodes on one file system. */
static int refuse_double(const struct candidate *from, struct error *err)
{
	return error_set(err, CODE_REFUSED, "let it make the segment anew",
			 "the program has System V memory with the id %lu and other shared memory of that number, which CRIU takes for one",
			 (unsigned long)from->ino);
}

/* The process may have given it up meanwhile. */
static int add(struct source_shms *shms, struct tree *tree, const struct candidate *from,
	       struct error *err)
{
	struct source_shm *shm = find(shms, from->dev, from->ino), **list;
	struct stat st;
	int fd;

	if (shm && shm->sysv != from->sysv)
		return refuse_double(from, err);
	if (shm) {
		shm->seen = true;
		return 0;
	}
	if (from->tmpfs ? !has_place_in_tmpfs(shms, tree) : !has_place(shms, tree, from))
		return leave_out(shms, tree, from, err);
	if (from->name && strlen(from->name) >= SHM_NAME_BYTES)
		return error_set(err, CODE_REFUSED, NULL, "the name of %s is too long", from->name);
	/* a name in a tmpfs of the program's own may be another file by now; a link, or a pipe, that was put there */
	fd = open(from->path, O_RDONLY | O_CLOEXEC | (from->tmpfs ? O_NOFOLLOW | O_NONBLOCK : 0));
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH || (from->tmpfs && (errno == ELOOP || errno == EWOULDBLOCK)) ? 0 :
		       error_errno(err, CODE_TARGET, NULL, "cannot open shared memory (%s)", from->path);
	list = realloc(shms->list, (shms->nr + 1) * sizeof(*list));
	if (list)
		shms->list = list;
	if (!list || fstat(fd, &st) || st.st_dev != from->dev || st.st_ino != from->ino ||
	    (!from->name && st.st_dev != shms->dev && !huge_kib(fd))) {
		close(fd);
		return list ? 0 : error_errno(err, CODE_INTERNAL, NULL, "no memory for shared memory");
	}
	shm = shm_new(fd, from, err);
	if (!shm) {
		close(fd);
		return -1;
	}
	shm->object = ++tree->last_object;
	shm->seen = true;
	shms->list[shms->nr++] = shm;
	return 0;
}

static bool is_carried(const struct source_shms *shms, const struct tree *tree, const char *path)
{
	return shms->opts && file_is_carried(shms->opts, tree->mounts, path);
}

/* Of memfd_create() or MAP_ANONYMOUS, if it is not on the device of other shared memory. */
static bool is_huge_name(const char *path)
{
	return !strncmp(path, "/memfd:", 7) || !strncmp(path, "/anon_hugepage (", 16);
}

static bool is_segment_name(const char *path)
{
	return !strncmp(path, SYSV_PREFIX, strlen(SYSV_PREFIX));
}

static bool is_shm(const struct source_shms *shms, const struct tree *tree, const struct vma *vma)
{
	/* the first segment of an IPC namespace has the id 0 */
	if (makedev(vma->major, vma->minor) == shms->dev)
		return vma->ino || is_segment_name(vma->name);
	return vma->shared && (is_huge_name(vma->name) || is_carried(shms, tree, vma->name));
}

static int find_mapped(struct source_shms *shms, struct tree *tree, pid_t pid,
		       const struct vma_list *vmas, struct error *err)
{
	struct candidate from;
	char path[96];

	for (size_t i = 0; i < vmas->nr; i++) {
		const struct vma *vma = &vmas->vmas[i];

		if (!is_shm(shms, tree, vma))
			continue;
		from = (struct candidate){
			.dev = makedev(vma->major, vma->minor), .ino = vma->ino, .path = path,
			.sysv = is_segment_name(vma->name),
		};
		if (from.dev != shms->dev && !is_huge_name(vma->name))
			from.name = vma->name;
		snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", pid, vma->start,
			 vma->end);
		if (add(shms, tree, &from, err))
			return -1;
	}
	return 0;
}

/** struct finding - one process's descriptors */
struct finding {
	struct source_shms *shms;
	struct tree *tree;
};

static int take_file(void *ctx, const struct proc_file *file, struct error *err)
{
	const struct finding *finding = ctx;
	struct candidate from = {
		.dev = file->st.st_dev, .ino = file->st.st_ino, .sysv = is_segment_name(file->path),
	};
	char path[48];

	if (!S_ISREG(file->st.st_mode) ||
	    (from.dev != finding->shms->dev && !is_huge_name(file->path) &&
	     !is_carried(finding->shms, finding->tree, file->path)))
		return 0;
	if (from.dev != finding->shms->dev && !is_huge_name(file->path))
		from.name = file->path;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", file->pid, file->fd);
	from.path = path;
	return add(finding->shms, finding->tree, &from, err);
}

static int find_open(struct source_shms *shms, struct tree *tree,
		     struct source_process *process, bool frozen, struct error *err)
{
	struct finding finding = { .shms = shms, .tree = tree };
	const struct proc_files *files;
	struct error ended = { 0 };
	struct proc_files own = { 0 };
	int ret;

	files = frozen ? source_process_held_files(process, &ended) :
			 source_process_files(process, &own, &ended);
	/* a process that has ended is a matter of the tree */
	ret = files ? proc_files_each(files, take_file, &finding, err) : 0;
	proc_files_free(&own);
	return ret;
}

/* A file that has lost its name is not what its path says any more: CRIU's images carry it. */
static bool has_name(const struct source_shm *shm)
{
	struct stat st;

	if (shm->tmpfs)
		return !fstat(shm->fd, &st) && st.st_nlink;
	return shm->named && !stat(shm->name, &st) && st.st_dev == shm->dev && st.st_ino == shm->ino;
}

/* @frozen: CRIU has the process, whose mappings may be others than those of the last scan */
static int find_all_of(struct source_shms *shms, struct tree *tree,
		       struct source_process *process, bool frozen, struct error *err)
{
	const struct vma_list *vmas = frozen ? source_process_held(process, err) : &process->mm.vmas;

	if (!vmas)
		return tree_forgive(tree, process, err) ? 0 : -1;
	return find_mapped(shms, tree, process->pid, vmas, err) ||
	       find_open(shms, tree, process, frozen, err) ? -1 : 0;
}

/** struct finding_files - files of tmpfs */
struct finding_files {
	struct source_shms *shms;
	struct tree *tree;
	struct error *err;
};

static int take_tmpfs_file(void *ctx, uint32_t nr, const struct stat *st, const char *path)
{
	const struct finding_files *finding = ctx;
	const struct candidate from = {
		.tmpfs = nr + 1, .dev = st->st_dev, .ino = st->st_ino, .name = "of a tmpfs", .path = path,
	};

	return add(finding->shms, finding->tree, &from, finding->err);
}

static bool was_dumped(const struct source_shms *shms, const struct source_shm *shm)
{
	for (size_t i = 0; i < shms->dump.nr; i++)
		if (shms->dump.objects[i].shmid == (uint32_t)shm->ino)
			return shms->dump.objects[i].dumped;
	return false;
}

/* CRIU dumps a segment that the last process has detached since, and its pages were thrown away. */
static bool outlives_mappings(const struct source_shms *shms, const struct source_shm *shm)
{
	return shm->sysv && was_dumped(shms, shm);
}

static int find_all(struct source_shms *shms, struct tree *tree, bool frozen, struct error *err)
{
	struct finding_files finding = { .shms = shms, .tree = tree, .err = err };
	struct source_process *process;

	for (size_t i = 0; i < shms->nr; i++) {
		shms->list[i]->seen = false;
		/* before the look, which finds a file that was renamed under its new name */
		if (shms->list[i]->named && !has_name(shms->list[i]))
			source_shm_end(shms->list[i]);
	}
	tree_for_each(tree, process)
		if (find_all_of(shms, tree, process, frozen, err))
			return -1;
	if (source_tmpfs_each(tree->mounts, take_tmpfs_file, &finding, err))
		return -1;
	for (size_t i = 0; i < shms->nr; i++)
		if (!shms->list[i]->named && !shms->list[i]->seen &&
		    !(frozen && outlives_mappings(shms, shms->list[i])))
			source_shm_end(shms->list[i]);
	return 0;
}

int shms_plan_dump(struct source_shms *shms, struct error *err)
{
	free(shms->dump.objects);
	shms->dump = (struct criu_dump_shm){ 0 };
	if (!shms->nr)
		return 0;
	shms->dump.objects = calloc(shms->nr, sizeof(*shms->dump.objects));
	if (!shms->dump.objects)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for shared memory");
	for (size_t i = 0; i < shms->nr; i++)
		if (!shms->list[i]->gone && shms->list[i]->announced && !shms->list[i]->named)
			shms->dump.objects[shms->dump.nr++].shmid = shms->list[i]->ino;
	return 0;
}

int shms_find(struct source_shms *shms, struct tree *tree, struct error *err)
{
	return find_all(shms, tree, false, err);
}

int shms_take_dump(struct source_shms *shms, struct tree *tree, struct error *err)
{
	if (find_all(shms, tree, true, err))
		return -1;
	for (size_t i = 0; i < shms->nr; i++)
		if (!shms->list[i]->named && !was_dumped(shms, shms->list[i]))
			source_shm_end(shms->list[i]);
	return 0;
}
