// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "criu/pagemap.h"
#include "services/image_earlier.h"
#include "services/image_writer.h"

/* The one is renamed to the other when the new images are complete: one step, before which all goes back. */
#define KEPT	"earlier" PART_SUFFIX
#define USELESS	"replaced" PART_SUFFIX

/** typedef earlier_fn - one pagemap in the directory @fd */
typedef int (*earlier_fn)(int dir_fd, int fd, const char *map, struct error *err);

static int each(int dir_fd, const char *name, earlier_fn fn, struct error *err)
{
	int fd = openat(dir_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW), ret = 0;
	struct dirent *entry;
	DIR *stream;

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, CODE_INTERNAL, NULL, "cannot open %s", name);
	stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		return error_errno(err, CODE_INTERNAL, NULL, "cannot list %s", name);
	}
	while (!ret && (entry = readdir(stream)))
		if (*entry->d_name != '.')
			ret = fn(dir_fd, fd, entry->d_name, err);
	closedir(stream);
	if (!ret && unlinkat(dir_fd, name, AT_REMOVEDIR))
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot remove %s", name);
	return ret;
}

int image_earlier_keep(int dir_fd, const char *map, struct error *err)
{
	char kept[sizeof(KEPT) + IMAGE_NAME_MAX];
	struct stat st;

	if (fstatat(dir_fd, map, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return 0;
	snprintf(kept, sizeof(kept), KEPT "/%s", map);
	if ((mkdirat(dir_fd, KEPT, 0700) && errno != EEXIST) || renameat(dir_fd, map, dir_fd, kept))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot put the earlier %s aside", map);
	return 0;
}

static int back_one(int dir_fd, int fd, const char *map, struct error *err)
{
	return renameat(fd, map, dir_fd, map) ?
	       error_errno(err, CODE_INTERNAL, NULL, "the earlier %s stays in " KEPT, map) : 0;
}

int image_earlier_back(int dir_fd, struct error *err)
{
	return each(dir_fd, KEPT, back_one, err);
}

/* Number of the pages image of an earlier server that the pagemap names; 0: none */
static uint32_t pages_id(int fd, const char *map)
{
	struct error ignored = { 0 };
	ProtobufCMessage *head;
	uint32_t id;

	if (image_read_one(fd, map, IMAGE_PAGEMAP, &img__pagemap_head__descriptor, &head, &ignored))
		return 0;
	id = ((Img__PagemapHead *)head)->pages_id;
	protobuf_c_message_free_unpacked(head, NULL);
	return id >= IMAGE_DIR_FIRST_ID ? id : 0;
}

static int drop_one(int dir_fd, int fd, const char *map, struct error *err)
{
	uint32_t id = pages_id(fd, map);
	char pages[IMAGE_NAME_MAX];

	snprintf(pages, sizeof(pages), "pages-%u.img", id);
	if (id)
		unlinkat(dir_fd, pages, 0);
	return unlinkat(fd, map, 0) ?
	       error_errno(err, CODE_INTERNAL, NULL, "cannot remove the earlier %s", map) : 0;
}

int image_earlier_drop(int dir_fd, struct error *err)
{
	if (renameat(dir_fd, KEPT, dir_fd, USELESS) && errno != ENOENT)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot rename " KEPT);
	return each(dir_fd, USELESS, drop_one, err);
}

int image_earlier_settle(int dir_fd, struct error *err)
{
	return each(dir_fd, USELESS, drop_one, err) || each(dir_fd, KEPT, back_one, err) ? -1 : 0;
}
