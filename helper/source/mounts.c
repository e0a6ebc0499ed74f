// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "os/dir_bytes.h"
#include "os/proc.h"
#include "source/mount_groups.h"
#include "source/mounts.h"

static const char hint_hand_on[] =
	"unmount it, or hand it on: a line \"external mnt[MOUNT POINT]:NAME\" in the file of --criu-config";

static int read_of(pid_t pid, struct mount_list *list, struct error *err)
{
	char file[40];

	snprintf(file, sizeof(file), "/proc/%d/mountinfo", pid);
	return mount_list_read(list, file, err);
}

/* Return: true: @path leads to what is mounted, and not to a mount that lies over it */
static bool is_visible(const char *path, const struct mount_entry *mount)
{
	struct stat st;

	if (lstat(path, &st))
		return false;
	/* files of overlayfs, and all of btrfs, have devices that are not the mount's */
	return st.st_dev == mount->dev || !S_ISDIR(st.st_mode) || !strcmp(mount->type, "btrfs");
}

/* A path of this helper's for what the program has mounted, the same path if there is one; from malloc(). */
static char *find_here(const struct mount_list *here, const struct mount_entry *mount)
{
	char *best = NULL, *path;

	for (size_t i = 0; i < here->nr; i++) {
		const struct mount_entry *mine = &here->mounts[i];
		const char *rest = path_below(mount->root, mine->root);

		if (mine->dev != mount->dev || !rest)
			continue;
		if (asprintf(&path, "%s%s", strcmp(mine->target, "/") || !*rest ? mine->target : "",
			     strcmp(rest, "/") || !strcmp(mine->target, "/") ? rest : "") < 0)
			break;
		if (!is_visible(path, mount) || (best && strcmp(path, mount->target))) {
			free(path);
			continue;
		}
		free(best);
		best = path;
	}
	return best;
}

/* An option of the user's says what becomes of it. */
static bool is_handed_on(const struct criu_config *config, const char *target)
{
	char external[CRIU_OPTION_BYTES], skipped[CRIU_OPTION_BYTES];

	snprintf(external, sizeof(external), "external mnt[%.200s]:", target);
	snprintf(skipped, sizeof(skipped), "skip-mnt %.200s", target);
	for (size_t i = 0; i < config->nr; i++)
		if (!strncmp(config->options[i].text, external, strlen(external)) ||
		    !strcmp(config->options[i].text, skipped))
			return true;
	return false;
}

/* What CRIU mounts anew. Of tmpfs it carries the files too. */
static bool is_carried(const struct source_mounts *mounts, const struct mount_entry *mount)
{
	static const char *const types[] = { "tmpfs", "proc", "sysfs", "devpts", "mqueue" };

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (strcmp(types[i], mount->type))
			continue;
		/* a part of a file system comes of the whole, which has to be there too */
		for (size_t j = 0; j < mounts->list.nr; j++)
			if (mounts->list.mounts[j].dev == mount->dev &&
			    !strcmp(mounts->list.mounts[j].root, "/"))
				return true;
	}
	return false;
}

/*
 * Without a limit (size=0) the file system does not tell. The program may have put a link, or another mount, where
 * the mount point was: then the device is another.
 */
static bool used_bytes(int root_fd, const struct mount_entry *mount, uint64_t *bytes)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
	};
	int fd = syscall(SYS_openat2, root_fd, mount->target, &how, sizeof(how));
	struct statfs fs;
	struct stat st;
	bool known;

	if (fd < 0)
		return false;
	known = !fstat(fd, &st) && st.st_dev == mount->dev && !fstatfs(fd, &fs);
	if (known)
		*bytes = fs.f_blocks ? (fs.f_blocks - fs.f_bfree) * fs.f_bsize : dir_bytes(fd);
	close(fd);
	return known;
}

bool source_mounts_is_own_tmpfs(const struct source_mounts *mounts, const struct criu_config *config, size_t nr)
{
	const struct mount_entry *mount = &mounts->list.mounts[nr];

	return !mounts->here[nr] && !strcmp(mount->type, "tmpfs") && !strcmp(mount->root, "/") &&
	       !is_handed_on(config, mount->target);
}

static bool is_first_of_device(const struct mount_list *list, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (list->mounts[i].dev == list->mounts[nr].dev)
			return false;
	return true;
}

/* Of the file system of mount @nr, by the first of its mounts that is seen: mounted twice its files are carried once. */
static uint64_t device_bytes(const struct source_mounts *mounts, const struct criu_config *config, size_t nr,
			     int root_fd)
{
	uint64_t bytes = 0;

	for (size_t i = nr; i < mounts->list.nr; i++)
		if (mounts->list.mounts[i].dev == mounts->list.mounts[nr].dev &&
		    source_mounts_is_own_tmpfs(mounts, config, i) &&
		    used_bytes(root_fd, &mounts->list.mounts[i], &bytes))
			break;
	return bytes;
}

uint64_t source_mounts_tmpfs_bytes(const struct source_mounts *mounts, const struct criu_config *config,
				   pid_t pid)
{
	uint64_t bytes = 0;
	char path[32];
	int root_fd;

	if (!mounts->own)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < mounts->list.nr && root_fd >= 0; i++)
		if (is_first_of_device(&mounts->list, i))
			bytes += device_bytes(mounts, config, i, root_fd);
	if (root_fd >= 0)
		close(root_fd);
	return bytes;
}

static void refuse_mount(const struct source_mounts *mounts, size_t nr,
			 const struct criu_config *config, struct refusals *refusals)
{
	const struct mount_entry *mount = &mounts->list.mounts[nr];

	if (!strcmp(mount->target, "/") && (ssize_t)nr != mount_list_root(&mounts->list))
		refuse(refusals, "unmount it",
		       "a mount lies over the root of the program's mount namespace, a file system %s",
		       mount->type);
	else if (strpbrk(mount->target, "]\n"))
		refuse(refusals, "unmount it", "the mount point %s cannot be named to CRIU",
		       mount->target);
	else if (!strcmp(mount->target, "/") && !mounts->here[nr])
		refuse(refusals, "run migrate-helper where it is mounted",
		       "the root of the program's mount namespace, on %s, is not mounted here",
		       mount->type);
	else if (!mounts->here[nr] && strcmp(mount->target, "/") &&
		 !is_handed_on(config, mount->target) && !is_carried(mounts, mount))
		refuse(refusals, hint_hand_on,
		       "the mount on %s of the program's namespace, a file system %s, is not here, and CRIU does not carry it",
		       mount->target, mount->type);
}

/* Restored processes open shared memory by /proc/1/fd (dest/shm.h). */
static bool has_proc(const struct mount_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		if (!strcmp(list->mounts[i].target, "/proc") && !strcmp(list->mounts[i].type, "proc") &&
		    !strcmp(list->mounts[i].root, "/"))
			return true;
	return false;
}

static bool has_other_root(pid_t pid)
{
	char link[32], path[8];

	snprintf(link, sizeof(link), "/proc/%d/root", pid);
	return readlink(link, path, sizeof(path)) != 1;
}

static int find_all_here(struct source_mounts *mounts, const struct mount_list *here,
			 const struct criu_config *config, struct refusals *refusals,
			 struct error *err)
{
	mounts->here = calloc(mounts->list.nr + 1, sizeof(*mounts->here));
	if (!mounts->here)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of mounts");
	for (size_t i = 0; i < mounts->list.nr; i++) {
		if (!is_handed_on(config, mounts->list.mounts[i].target))
			mounts->here[i] = find_here(here, &mounts->list.mounts[i]);
		refuse_mount(mounts, i, config, refusals);
	}
	return 0;
}

/* Those that the destination binds: see setup.c. */
static int refuse_groups(const struct source_mounts *mounts, pid_t pid, struct refusals *refusals,
			 struct error *err)
{
	bool *bound = calloc(mounts->list.nr + 1, sizeof(*bound));
	ssize_t root = mount_list_root(&mounts->list);
	int ret;

	if (!bound)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of mounts");
	for (size_t i = 0; i < mounts->list.nr; i++)
		bound[i] = source_mounts_is_outside(mounts, i) || ((ssize_t)i == root && mounts->here[i]);
	ret = mount_groups_refuse(&mounts->list, bound, pid, refusals, err);
	free(bound);
	return ret;
}

int source_mounts_find(struct source_mounts *mounts, pid_t pid, const struct criu_config *config,
		       struct error *err)
{
	struct refusals refusals = { 0 };
	struct mount_list here = { 0 };
	ino_t namespace;
	int ret;

	memset(mounts, 0, sizeof(*mounts));
	namespace = proc_ns(pid, "mnt");
	/* a process whose main thread has ended shows none */
	mounts->own = namespace && namespace != proc_ns(0, "mnt");
	if (!mounts->own)
		return 0;
	ret = read_of(pid, &mounts->list, err) || read_of(getpid(), &here, err) ||
	      find_all_here(mounts, &here, config, &refusals, err) ||
	      refuse_groups(mounts, pid, &refusals, err) ? -1 : 0;
	mount_list_free(&here);
	if (ret)
		return -1;
	if (has_other_root(pid))
		refuse(&refusals, "use pivot_root", "process %d has changed its root (chroot) in a mount namespace of its own",
		       pid);
	if (!has_proc(&mounts->list))
		refuse(&refusals, "mount one", "the program's mount namespace has no /proc");
	return refusals_end(&refusals, pid, err);
}

int source_mounts_check(const struct source_mounts *mounts, pid_t pid, struct error *err)
{
	struct mount_list now = { 0 };
	int ret = 0;

	if (!mounts->own)
		return 0;
	ret = read_of(pid, &now, err);
	if (!ret && !mount_list_same(&now, &mounts->list))
		ret = error_set(err, CODE_REFUSED, "migrate again",
				"the program's mounts have changed since Setup");
	mount_list_free(&now);
	return ret;
}

void source_mounts_free(struct source_mounts *mounts)
{
	for (size_t i = 0; mounts->here && i < mounts->list.nr; i++)
		free(mounts->here[i]);
	free(mounts->here);
	for (size_t i = 0; mounts->tmpfs && i < mounts->list.nr; i++)
		if (mounts->tmpfs[i] >= 0)
			close(mounts->tmpfs[i]);
	free(mounts->tmpfs);
	mount_list_free(&mounts->list);
	memset(mounts, 0, sizeof(*mounts));
}

bool source_mounts_here(const struct source_mounts *mounts, const char *path, char here[PATH_MAX])
{
	const char *rest = NULL;
	ssize_t nr;

	if (!mounts || !mounts->own) {
		snprintf(here, PATH_MAX, "%s", path);
		return true;
	}
	nr = mount_list_find(&mounts->list, path, &rest);
	if (nr < 0 || !rest || !mounts->here[nr])
		return false;
	rest += !strcmp(rest, "/");
	snprintf(here, PATH_MAX, "%s%s", strcmp(mounts->here[nr], "/") || !*rest ?
		 mounts->here[nr] : "", rest);
	return true;
}

const char *source_mounts_root(const struct source_mounts *mounts)
{
	ssize_t root = mounts->own ? mount_list_root(&mounts->list) : -1;

	return root < 0 ? NULL : mounts->here[root];
}

/* Over, or under, a mount of the program's own: CRIU takes a mount point for one mount. */
static bool is_stacked(const struct source_mounts *mounts, size_t nr)
{
	for (size_t i = 0; i < mounts->list.nr; i++)
		if (!mounts->here[i] &&
		    !strcmp(mounts->list.mounts[i].target, mounts->list.mounts[nr].target))
			return true;
	return false;
}

bool source_mounts_is_outside(const struct source_mounts *mounts, size_t nr)
{
	return mounts->here[nr] && strcmp(mounts->list.mounts[nr].target, "/") &&
	       !is_stacked(mounts, nr);
}

bool source_mounts_is_copied(const struct source_mounts *mounts, size_t nr)
{
	return mounts->tmpfs && mounts->tmpfs[nr] >= 0;
}

bool source_mounts_follows(const struct source_mounts *mounts, size_t nr)
{
	return mount_groups_follows(&mounts->list, nr);
}

bool source_mounts_are_stacked(const struct source_mounts *mounts)
{
	for (size_t i = 0; mounts->own && i < mounts->list.nr; i++)
		if (mounts->here[i] && is_stacked(mounts, i))
			return true;
	return false;
}

void source_mounts_key(size_t nr, char name[SOURCE_MOUNT_NAME])
{
	snprintf(name, SOURCE_MOUNT_NAME, "mh%zu", nr);
}

char *source_mounts_name(const struct source_mounts *mounts, size_t nr)
{
	char key[SOURCE_MOUNT_NAME], *name;

	source_mounts_key(nr, key);
	return asprintf(&name, "mnt[%s]:%s", mounts->list.mounts[nr].target, key) < 0 ? NULL : name;
}
