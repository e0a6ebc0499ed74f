/* SPDX-License-Identifier: GPL-2.0 */
/* A connection of the original protocol that reads an image, at the proxy and at the cache. */
#ifndef MIGRATE_SERVICES_REMOTE_READER_H
#define MIGRATE_SERVICES_REMOTE_READER_H

#include "services/image_loop.h"
#include "services/image_store.h"
#include "services/remote_request.h"

/**
 * remote_reader_serve() - answer @request of @client, and write the image
 * @image: NULL: there is none
 * Return: 0, also when the reader wants no more; -1 with @err: it does not speak the protocol
 */
int remote_reader_serve(const struct image_client *client, const struct remote_request *request,
			const struct stored_image *image, struct error *err);

#endif
