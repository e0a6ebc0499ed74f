/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stands in for `criu pre-dump`: the memory of a tree of processes goes into a directory of images while they run.
 * Unmodified `criu dump --track-mem --prev-images-dir` and `criu restore` take the directory for one of CRIU's own.
 */
#ifndef MIGRATE_SERVICES_PREDUMP_H
#define MIGRATE_SERVICES_PREDUMP_H

#include <stdbool.h>
#include <sys/types.h>
#include "backend/backend.h"
#include "services/predump_uplink.h"

/**
 * struct predump_options - the command line
 * @pid: the first process of the tree
 * @prev_images_dir: the parent's directory, relative to @images_dir; or NULL
 * @backend: --backend
 * @buffered: write through the page cache
 * @no_fsync: do not wait for the disk
 * @server: where the memory goes; the directory gets what is left of the images, as with CRIU
 */
struct predump_options {
	pid_t pid;
	const char *images_dir, *prev_images_dir;
	enum backend_kind backend;
	bool buffered, no_fsync, json;
	struct predump_server server;
};

/** predump_run() - write the images. Return: the exit code */
int predump_run(const struct predump_options *opts);

#endif
