/* SPDX-License-Identifier: GPL-2.0 */
/* The namespaces of the tasks that images tell of. */
#ifndef MIGRATE_CRIU_NAMESPACES_H
#define MIGRATE_CRIU_NAMESPACES_H

#include <stdint.h>
#include "base/error.h"
#include "os/id_map.h"

/**
 * enum criu_namespace - what struct criu_namespaces counts
 *
 * CRIU makes a namespace for the first task where the task has another number than the CRIU of the dump had, and for
 * a child where the child has another number than its parent.
 */
enum criu_namespace {
	CRIU_NS_PID, CRIU_NS_MOUNT, CRIU_NS_NETWORK, CRIU_NS_USER, CRIU_NS_TIME, CRIU_NS_CGROUP, CRIU_NS_IPC,
	CRIU_NS_UTS, CRIU_NAMESPACES
};

/** struct criu_namespaces - CRIU's numbers; 0: the images have none */
struct criu_namespaces {
	uint32_t ids[CRIU_NAMESPACES];
};

/** criu_namespaces_of_criu() - those of the CRIU that made the images */
int criu_namespaces_of_criu(int images_dir_fd, struct criu_namespaces *namespaces, struct error *err);
/** criu_namespaces_of() - those of task @pid */
int criu_namespaces_of(int images_dir_fd, pid_t pid, struct criu_namespaces *namespaces,
		       struct error *err);
/** criu_namespaces_maps() - of user namespace @id. Return: -1 with @err: there is none, or its maps are wrong */
int criu_namespaces_maps(int images_dir_fd, uint32_t id, struct id_map *uids, struct id_map *gids,
			 struct error *err);

#endif
