// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "criu/image.h"
#include "criu/names.h"
#include "images.pb-c.h"

#define REMAP_LINKED	0	/* of RemapFilePathEntry */

static const char remaps_name[] = "remap-fpath.img";

static int names_add(struct criu_names *names, const char *name, struct error *err)
{
	/* doubled whenever it is full: its room is a power of two */
	bool full = !(names->nr & (names->nr - 1));
	char **more = full ? reallocarray(names->list, 2 * names->nr + 1, sizeof(*more)) : names->list;
	char *copy = more ? strdup(name) : NULL;

	if (more)
		names->list = more;
	if (!copy)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for names in the images");
	more[names->nr++] = copy;
	return 0;
}

/** struct wanted - @ids: the records whose names are wanted */
struct wanted {
	uint32_t *ids;
	size_t nr;
};

/* @wanted: NULL: all */
static bool is_wanted(const struct wanted *wanted, uint32_t id)
{
	for (size_t i = 0; wanted && i < wanted->nr; i++)
		if (wanted->ids[i] == id)
			return true;
	return !wanted;
}

/* Return: as image_next() */
static int take_next(struct image *image, const struct wanted *wanted, struct criu_names *names, struct error *err)
{
	ProtobufCMessage *msg;
	int ret = image_next(image, &img__file_entry__descriptor, &msg, err);
	const Img__RegFileEntry *reg;

	if (ret <= 0)
		return ret;
	reg = ((Img__FileEntry *)msg)->reg;
	if (reg && !reg->ext && is_wanted(wanted, reg->id) && names_add(names, reg->name, err))
		ret = -1;
	protobuf_c_message_free_unpacked(msg, NULL);
	return ret;
}

static int compare(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static void sort(struct criu_names *names)
{
	size_t nr = 0;

	if (names->nr)
		qsort(names->list, names->nr, sizeof(*names->list), compare);
	for (size_t i = 0; i < names->nr; i++) {
		if (nr && !strcmp(names->list[nr - 1], names->list[i]))
			free(names->list[i]);
		else
			names->list[nr++] = names->list[i];
	}
	names->nr = nr;
}

static int read_names(int images_dir_fd, const struct wanted *wanted, struct criu_names *names, struct error *err)
{
	struct image image;
	int ret;

	*names = (struct criu_names){ 0 };
	if (image_open(&image, images_dir_fd, "files.img", IMAGE_FILES, err))
		return -1;
	do
		ret = take_next(&image, wanted, names, err);
	while (ret > 0);
	image_close(&image);
	sort(names);
	if (ret)
		criu_names_free(names);
	return ret;
}

int criu_names_read(int images_dir_fd, struct criu_names *names, struct error *err)
{
	return read_names(images_dir_fd, NULL, names, err);
}

static int add_wanted(struct wanted *wanted, const Img__RemapFilePathEntry *remap, struct error *err)
{
	uint32_t *more;

	if (remap->remap_type != REMAP_LINKED)
		return 0;
	more = reallocarray(wanted->ids, wanted->nr + 1, sizeof(*more));
	if (!more)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for names in the images");
	wanted->ids = more;
	more[wanted->nr++] = remap->remap_id;
	return 0;
}

/* An image that is not there has no records. */
static int read_remaps(int images_dir_fd, struct wanted *wanted, struct error *err)
{
	ProtobufCMessage *msg;
	struct image image;
	int ret = 0, next;

	if (faccessat(images_dir_fd, remaps_name, F_OK, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (image_open(&image, images_dir_fd, remaps_name, IMAGE_REMAP_FPATH, err))
		return -1;
	while (!ret && (next = image_next(&image, &img__remap_file_path_entry__descriptor, &msg, err))) {
		ret = next < 0 ? -1 : add_wanted(wanted, (const Img__RemapFilePathEntry *)msg, err);
		if (next > 0)
			protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_close(&image);
	return ret;
}

int criu_names_read_links(int images_dir_fd, struct criu_names *names, struct error *err)
{
	struct wanted wanted = { 0 };
	int ret = read_remaps(images_dir_fd, &wanted, err);

	*names = (struct criu_names){ 0 };
	if (!ret && wanted.nr)
		ret = read_names(images_dir_fd, &wanted, names, err);
	free(wanted.ids);
	return ret;
}

void criu_names_free(struct criu_names *names)
{
	for (size_t i = 0; i < names->nr; i++)
		free(names->list[i]);
	free(names->list);
	*names = (struct criu_names){ 0 };
}
