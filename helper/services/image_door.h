/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A directory of images at which CRIU calls: a socket of mode 0600 in it, to which `criu --stream` connects.
 *
 * The images of the directory have an id, by which proxy and cache know them: CRIU sends none.
 */
#ifndef MIGRATE_SERVICES_IMAGE_DOOR_H
#define MIGRATE_SERVICES_IMAGE_DOOR_H

#include "base/error.h"
#include "services/image_frame.h"
#include "wire/listener.h"
#include "wire/unix.h"

#define IMAGE_DOORS_MAX	64	/* directories of one proxy or cache */
#define IMAGE_REMOTE_ID	"remote"

/** struct image_door - @path: of the socket; @remote: CRIU speaks the original protocol (services/remote_request.h) */
struct image_door {
	char id[IMAGE_NAME_BYTES + 1], path[112];
	struct listener listener;
	struct unix_file file;
	bool remote;
};

/**
 * image_door_open() - listen on the socket @name in a directory
 * @spec: "DIR", whose last component is the id, or "ID=DIR"
 */
int image_door_open(struct image_door *door, const char *spec, const char *name,
		    struct error *err);

/**
 * image_door_open_remote() - listen for the original protocol
 * @spec: path of the socket, or "ID=PATH"; the id is IMAGE_REMOTE_ID unless said
 */
int image_door_open_remote(struct image_door *door, const char *spec, struct error *err);

/** image_door_close() - close and remove the socket */
void image_door_close(struct image_door *door);

#endif
