/* SPDX-License-Identifier: GPL-2.0 */
/* The command line of image-proxy and image-cache. */
#ifndef MIGRATE_SERVICES_IMAGE_OPTIONS_H
#define MIGRATE_SERVICES_IMAGE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include "services/image_door.h"

/**
 * struct image_options - of one end
 * @dirs: "DIR" or "ID=DIR": images directories of the dumps, or of the restores
 * @remote_socket: "PATH" or "ID=PATH": where the original protocol is spoken; or NULL
 * @page_server: where `criu dump --page-server` connects to the proxy; or NULL
 * @address: at which the cache listens; or NULL
 * @link_fd: descriptor of the connection to the other end, in place of @address; -1: none
 * @max_mib: most memory for images; at the proxy for those of @remote_socket, and for one level of @page_server
 * @timeout_s: how long the cache may take nothing of a dump; 0: for ever
 * @once: end after one dump, or restore
 * @leave_running: of the proxy: see image_fate_watch()
 */
struct image_options {
	const char *dirs[IMAGE_DOORS_MAX], *remote_socket, *page_server, *address;
	size_t nr_dirs;
	int link_fd;
	unsigned long max_mib, timeout_s;
	bool once, leave_running, insecure, json;
};

#endif
