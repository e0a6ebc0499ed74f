// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "criu/image.h"
#include "criu/names.h"
#include "images.pb-c.h"

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

/* Return: as image_next() */
static int take_next(struct image *image, struct criu_names *names, struct error *err)
{
	ProtobufCMessage *msg;
	int ret = image_next(image, &img__file_entry__descriptor, &msg, err);
	const Img__RegFileEntry *reg;

	if (ret <= 0)
		return ret;
	reg = ((Img__FileEntry *)msg)->reg;
	if (reg && !reg->ext && names_add(names, reg->name, err))
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

int criu_names_read(int images_dir_fd, struct criu_names *names, struct error *err)
{
	struct image image;
	int ret;

	*names = (struct criu_names){ 0 };
	if (image_open(&image, images_dir_fd, "files.img", IMAGE_FILES, err))
		return -1;
	do
		ret = take_next(&image, names, err);
	while (ret > 0);
	image_close(&image);
	sort(names);
	if (ret)
		criu_names_free(names);
	return ret;
}

void criu_names_free(struct criu_names *names)
{
	for (size_t i = 0; i < names->nr; i++)
		free(names->list[i]);
	free(names->list);
	*names = (struct criu_names){ 0 };
}
