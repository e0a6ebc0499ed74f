/* SPDX-License-Identifier: GPL-2.0 */
/* A connection of the original protocol that reads an image, at the proxy and at the cache. */
#ifndef MIGRATE_SERVICES_REMOTE_READER_H
#define MIGRATE_SERVICES_REMOTE_READER_H

#include <stdatomic.h>
#include "services/image_store.h"
#include "services/remote_request.h"

/**
 * remote_reader_serve() - answer @request on @fd, and write the image
 * @image: NULL: there is none
 * @stop: ends a wait for the reader
 * Return: 0, also when the reader wants no more; -1 with @err: it does not speak the protocol
 */
int remote_reader_serve(int fd, const struct remote_request *request,
			const struct stored_image *image, const atomic_bool *stop,
			struct error *err);

#endif
