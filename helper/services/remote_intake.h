/* SPDX-License-Identifier: GPL-2.0 */
/* The images that come to a dump of the original protocol: into the proxy's store, and on to the cache. */
#ifndef MIGRATE_SERVICES_REMOTE_INTAKE_H
#define MIGRATE_SERVICES_REMOTE_INTAKE_H

#include <stdatomic.h>
#include "services/remote_state.h"

/**
 * struct remote_intake - a connection that writes
 * @fd: of the connection
 * @stop: the proxy ends
 * @taken: the image is whole here, and goes on to the cache; under remote_dump.lock
 */
struct remote_intake {
	struct remote_dump *remote;
	struct remote_intake *next;
	struct stored_image *image;
	int fd;
	const atomic_bool *stop;
	bool taken;
};

/**
 * remote_intake_write() - take the image up to its end, and forward it
 * @by_pipe: the connection passes a pipe; else it carries the image itself
 */
int remote_intake_write(struct remote_intake *intake, bool by_pipe, struct error *err);

/** remote_intake_append() - take what is added to the image, in one piece */
int remote_intake_append(const struct remote_intake *intake, bool by_pipe, struct error *err);

/** remote_intake_forward() - send the whole image to the cache */
int remote_intake_forward(struct remote_dump *remote, const struct stored_image *image,
			  struct error *err);

#endif
