/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The destination's end of dump -> proxy -> one connection -> cache -> restore: it holds the images in memory,
 * and `criu restore --stream` reads them from it.
 */
#ifndef MIGRATE_SERVICES_IMAGE_CACHE_H
#define MIGRATE_SERVICES_IMAGE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include "services/image_door.h"

/**
 * struct image_cache_options - the command line
 * @dirs: "DIR" or "ID=DIR": images directories of the restores
 * @listen: address at which the proxy connects; or NULL
 * @link_fd: descriptor of the connection to the proxy, in place of @listen; -1: none
 * @max_mib: most memory for images
 * @once: end after one restore
 */
struct image_cache_options {
	const char *dirs[IMAGE_DOORS_MAX], *listen;
	size_t nr_dirs;
	int link_fd;
	unsigned long max_mib;
	bool once, insecure, json;
};

/** image_cache_run() - until a signal, or one restore. Return: the exit code */
int image_cache_run(const struct image_cache_options *opts);

#endif
