// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "services/image_door.h"

/* Split "ID=DIR", or find the id of "DIR" in its resolved path. */
static int take_spec(struct image_door *door, const char *spec, const char *name,
		     struct error *err)
{
	const char *equals = strchr(spec, '='), *dir = equals ? equals + 1 : spec, *id;
	char real[PATH_MAX];
	size_t bytes;

	if (!realpath(dir, real))
		return error_errno(err, CODE_USAGE, NULL, "the directory \"%.200s\"", dir);
	id = equals ? spec : strrchr(real, '/') + 1;
	bytes = equals ? (size_t)(equals - spec) : strlen(id);
	if (!bytes || bytes > IMAGE_NAME_BYTES)
		return error_set(err, CODE_USAGE, "write it as ID=DIR",
				 "\"%.200s\" gives the images no id", spec);
	memcpy(door->id, id, bytes);
	if (snprintf(door->path, sizeof(door->path), "%s/%s", real, name) >= (int)sizeof(door->path))
		return error_set(err, CODE_USAGE, "CRIU connects to a socket in it",
				 "the path of \"%.200s\" is too long for a socket", dir);
	return 0;
}

static int listen_at(struct image_door *door, struct error *err)
{
	int fd = unix_listen(door->path, err);

	if (fd < 0)
		return -1;
	listener_init(&door->listener, fd);
	if (!unix_note(door->path, &door->file, err))
		return 0;
	listener_close(&door->listener);
	return -1;
}

int image_door_open(struct image_door *door, const char *spec, const char *name,
		    struct error *err)
{
	*door = (struct image_door){ .listener.fd = -1 };
	return take_spec(door, spec, name, err) ? -1 : listen_at(door, err);
}

int image_door_open_remote(struct image_door *door, const char *spec, struct error *err)
{
	const char *equals = strchr(spec, '='), *path = equals ? equals + 1 : spec;
	size_t bytes = equals ? (size_t)(equals - spec) : strlen(IMAGE_REMOTE_ID);

	*door = (struct image_door){ .listener.fd = -1, .remote = true };
	if (!bytes || bytes > IMAGE_NAME_BYTES)
		return error_set(err, CODE_USAGE, "write it as ID=PATH",
				 "\"%.200s\" gives the images no id", spec);
	memcpy(door->id, equals ? spec : IMAGE_REMOTE_ID, bytes);
	if (snprintf(door->path, sizeof(door->path), "%s", path) >= (int)sizeof(door->path))
		return error_set(err, CODE_USAGE, NULL, "the path \"%.200s\" is too long for a socket",
				 path);
	return listen_at(door, err);
}

void image_door_close(struct image_door *door)
{
	if (door->listener.fd < 0)
		return;
	unix_remove(door->path, &door->file);
	listener_close(&door->listener);
}
