// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "criu/page_command.h"
#include "services/image_dir.h"
#include "services/image_earlier.h"

#define PARENT_LINK	"parent"
#define TARGETS_MAX	(1UL << 18)	/* objects that a server takes in all */

static int compare_targets(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return (one > other) - (one < other);
}

static bool is_part(const char *name)
{
	size_t len = strlen(name), suffix = strlen(".img" PART_SUFFIX);

	return (!strncmp(name, "pagemap-", 8) || !strncmp(name, "pages-", 6)) && len > suffix &&
	       !strcmp(name + len - suffix, ".img" PART_SUFFIX);
}

static int remove_parts(int dir_fd, struct error *err)
{
	int fd = openat(dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!stream) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot list the images");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((entry = readdir(stream)))
		if (is_part(entry->d_name))
			unlinkat(dir_fd, entry->d_name, 0);
	closedir(stream);
	return 0;
}

/* Return: whether the link that is there leads to @parent */
static bool links_to(int dir_fd, const char *parent)
{
	struct stat there, wanted;

	return !fstatat(dir_fd, PARENT_LINK, &there, 0) && !fstatat(dir_fd, parent, &wanted, 0) &&
	       there.st_dev == wanted.st_dev && there.st_ino == wanted.st_ino;
}

static int link_parent(int dir_fd, const char *parent, struct error *err)
{
	struct stat st;

	if (fstatat(dir_fd, parent, &st, 0))
		return error_errno(err, CODE_USAGE, "the path is relative to --images-dir",
				   "no parent images in \"%s\"", parent);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, CODE_USAGE, NULL, "\"%s\" is no directory", parent);
	if (!symlinkat(parent, dir_fd, PARENT_LINK))
		return 0;
	if (errno != EEXIST)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make the link " PARENT_LINK);
	return links_to(dir_fd, parent) ? 0 :
	       error_set(err, CODE_USAGE, NULL,
			 "the link " PARENT_LINK " of the images does not lead to \"%s\"", parent);
}

int image_dir_open(struct image_dir *dir, const char *path, const char *parent,
		   struct error *err)
{
	*dir = (struct image_dir){ .next_id = IMAGE_DIR_FIRST_ID };
	pthread_mutex_init(&dir->lock, NULL);
	dir->fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (dir->fd < 0)
		return error_errno(err, CODE_USAGE, NULL, "cannot open the directory \"%s\"", path);
	if (flock(dir->fd, LOCK_EX | LOCK_NB))
		error_errno(err, CODE_USAGE, "another page-server or pre-dump writes to it",
			    "cannot lock \"%s\"", path);
	else if (!image_earlier_settle(dir->fd, err) && !remove_parts(dir->fd, err) && (!parent || !link_parent(dir->fd, parent, err)))
		return 0;
	image_dir_close(dir);
	return -1;
}

void image_dir_close(struct image_dir *dir)
{
	if (dir->fd >= 0)
		close(dir->fd);
	dir->fd = -1;
	tdestroy(dir->targets, free);
	dir->targets = NULL;
	pthread_mutex_destroy(&dir->lock);
}

int image_dir_parent(const struct image_dir *dir, int *fd, struct error *err)
{
	struct stat st;

	*fd = -1;
	if (fstatat(dir->fd, PARENT_LINK, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
		return 0;
	*fd = openat(dir->fd, PARENT_LINK, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? error_errno(err, CODE_INTERNAL, NULL, "cannot open the parent's images") : 0;
}

/* Images of an earlier server are there until their pagemaps are replaced. */
static uint32_t free_id(struct image_dir *dir)
{
	char name[IMAGE_NAME_MAX];

	do {
		snprintf(name, sizeof(name), "pages-%u.img", dir->next_id++);
	} while (!faccessat(dir->fd, name, F_OK, AT_SYMLINK_NOFOLLOW));
	return dir->next_id - 1;
}

/* Return: true when @target was free, and memory was there; the caller holds the lock */
static bool add_target(struct image_dir *dir, uint64_t target, struct error *err)
{
	uint64_t *key = malloc(sizeof(*key)), **node;

	if (!key || dir->nr_targets >= TARGETS_MAX) {
		error_set(err, CODE_INTERNAL, NULL, "too many images for one page server");
		free(key);
		return false;
	}
	*key = target;
	node = tsearch(key, &dir->targets, compare_targets);
	if (node && *node == key) {
		dir->nr_targets++;
		return true;
	}
	free(key);
	error_set(err, CODE_PEER, "each snapshot needs a directory, and a server, of its own",
		  node ? "another connection has the same object" : "no memory for an image");
	return false;
}

int image_dir_take(struct image_dir *dir, uint64_t target, struct image_made *made,
		   struct error *err)
{
	bool added;

	pthread_mutex_lock(&dir->lock);
	added = add_target(dir, target, err);
	if (added)
		*made = (struct image_made){ .target = target, .pages_id = free_id(dir) };
	pthread_mutex_unlock(&dir->lock);
	return added ? 0 : -1;
}

static int sync_file(const struct image_dir *dir, const char *image, struct error *err)
{
	char name[PART_NAME_MAX];
	int fd, ret;

	snprintf(name, sizeof(name), "%s" PART_SUFFIX, image);
	fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ret = fd < 0 || fsync(fd) ?
	      error_errno(err, CODE_INTERNAL, NULL, "cannot write %s to the disk", name) : 0;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int sync_files(const struct image_dir *dir, const struct image_made *made, size_t nr,
		      struct error *err)
{
	char map[IMAGE_NAME_MAX], pages[IMAGE_NAME_MAX];

	for (size_t i = 0; i < nr && !dir->no_fsync; i++) {
		image_made_names(&made[i], map, pages);
		if (sync_file(dir, pages, err) || sync_file(dir, map, err))
			return -1;
	}
	return 0;
}

static int publish_file(const struct image_dir *dir, const char *image, struct error *err)
{
	char name[PART_NAME_MAX];

	snprintf(name, sizeof(name), "%s" PART_SUFFIX, image);
	return renameat(dir->fd, name, dir->fd, image) ?
	       error_errno(err, CODE_INTERNAL, NULL, "cannot rename %s", name) : 0;
}

static int publish_one(const struct image_dir *dir, const struct image_made *made,
		       struct error *err)
{
	char map[IMAGE_NAME_MAX], pages[IMAGE_NAME_MAX];

	image_made_names(made, map, pages);
	if (publish_file(dir, pages, err))
		return -1;
	if (!image_earlier_keep(dir->fd, map, err) && !publish_file(dir, map, err))
		return 0;
	unlinkat(dir->fd, pages, 0);
	return -1;
}

/* Of images that publish_one() has published: another pagemap of this name is an earlier server's. */
static void unpublish(const struct image_dir *dir, const struct image_made *made, size_t nr,
		      struct error *err)
{
	char map[IMAGE_NAME_MAX], pages[IMAGE_NAME_MAX];
	struct error why = { 0 };

	for (size_t i = 0; i < nr; i++) {
		image_made_names(&made[i], map, pages);
		unlinkat(dir->fd, map, 0);
		unlinkat(dir->fd, pages, 0);
	}
	if (image_earlier_back(dir->fd, &why))
		snprintf(err->hint, sizeof(err->hint), "%.200s: move it back by hand", why.what);
}

/* The caller holds the lock: what is put aside is of one connection. */
static int publish_all(struct image_dir *dir, const struct image_made *made, size_t nr, struct error *err)
{
	size_t done = 0;
	int ret = 0;

	while (done < nr && !(ret = publish_one(dir, &made[done], err)))
		done++;
	if (!ret && !dir->no_fsync && fsync(dir->fd))
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot write the images to the disk");
	if (ret)
		unpublish(dir, made, done, err);
	return ret || image_earlier_drop(dir->fd, err) ? -1 : 0;
}

int image_dir_publish(struct image_dir *dir, const struct image_made *made, size_t nr,
		      struct error *err)
{
	int ret = sync_files(dir, made, nr, err);

	if (ret)
		return ret;
	pthread_mutex_lock(&dir->lock);
	ret = publish_all(dir, made, nr, err);
	pthread_mutex_unlock(&dir->lock);
	return ret;
}

static void drop_part(const struct image_dir *dir, const char *image)
{
	char name[PART_NAME_MAX];

	snprintf(name, sizeof(name), "%s" PART_SUFFIX, image);
	unlinkat(dir->fd, name, 0);
}

void image_dir_drop(struct image_dir *dir, const struct image_made *made, size_t nr)
{
	char map[IMAGE_NAME_MAX], pages[IMAGE_NAME_MAX];

	pthread_mutex_lock(&dir->lock);
	for (size_t i = 0; i < nr; i++) {
		uint64_t **node = tfind(&made[i].target, &dir->targets, compare_targets);
		uint64_t *key = node ? *node : NULL;

		image_made_names(&made[i], map, pages);
		drop_part(dir, map);
		drop_part(dir, pages);
		if (!key)
			continue;
		tdelete(key, &dir->targets, compare_targets);
		free(key);
		dir->nr_targets--;
	}
	pthread_mutex_unlock(&dir->lock);
}
