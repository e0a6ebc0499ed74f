// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include "criu/criu.h"
#include "criu/image.h"
#include "images.pb-c.h"

#define TASK_STATE_DEAD	2

/* Return: 1 for a task that had ended and waited for its parent, 0 for another, -1 with @err */
static int is_zombie(int dir_fd, pid_t pid, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	ProtobufCMessage *msg;
	Img__CoreEntry *core;
	int ret;

	snprintf(name, sizeof(name), "core-%d.img", pid);
	if (image_read_one(dir_fd, name, IMAGE_CORE, &img__core_entry__descriptor, &msg, err))
		return -1;
	core = (Img__CoreEntry *)msg;
	ret = core->tc && core->tc->task_state == TASK_STATE_DEAD;
	protobuf_c_message_free_unpacked(msg, NULL);
	return ret;
}

static int pids_add(pid_t **pids, size_t *nr, pid_t pid, struct error *err)
{
	pid_t *more = reallocarray(*pids, *nr + 1, sizeof(*more));

	if (!more)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of tasks");
	*pids = more;
	more[(*nr)++] = pid;
	return 0;
}

/* Return: as image_next() */
static int take_next(struct image *image, int dir_fd, pid_t **pids, size_t *nr, struct error *err)
{
	ProtobufCMessage *msg;
	int ret = image_next(image, &img__pstree_entry__descriptor, &msg, err), zombie;
	pid_t pid;

	if (ret <= 0)
		return ret;
	pid = ((Img__PstreeEntry *)msg)->pid;
	protobuf_c_message_free_unpacked(msg, NULL);
	zombie = is_zombie(dir_fd, pid, err);
	return zombie < 0 || (!zombie && pids_add(pids, nr, pid, err)) ? -1 : 1;
}

int criu_tree_read(int images_dir_fd, pid_t **pids, size_t *nr, struct error *err)
{
	struct image image;
	int ret;

	*pids = NULL;
	*nr = 0;
	if (image_open(&image, images_dir_fd, "pstree.img", IMAGE_PSTREE, err))
		return -1;
	do {
		ret = take_next(&image, images_dir_fd, pids, nr, err);
	} while (ret > 0);
	image_close(&image);
	if (!ret && !*nr)
		ret = error_set(err, CODE_CRIU, NULL, "the images have no task");
	if (ret) {
		free(*pids);
		*pids = NULL;
	}
	return ret;
}
