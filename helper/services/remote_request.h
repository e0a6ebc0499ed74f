/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What CRIU's development branch said to its image proxy and image cache (--remote, 2016 to 2020). Each image has a
 * connection of its own, which begins with one request: (name, snapshot id, open mode). The snapshot id is CRIU's
 * --images-dir, as it was written.
 *
 * A request that writes gets no answer; one that reads gets 0 or an errno. Then CRIU sends one end of a pipe, which
 * carries the image. An image with an empty snapshot id, the list of snapshots, is carried by the connection itself.
 * A request with an empty name and an empty snapshot id says that the dump, or the restore, has ended.
 */
#ifndef MIGRATE_SERVICES_REMOTE_REQUEST_H
#define MIGRATE_SERVICES_REMOTE_REQUEST_H

#include <stdbool.h>
#include "base/error.h"
#include "services/image_frame.h"

#define REMOTE_LIST	"parent"	/* name of the list of snapshots, whose snapshot id is empty */

/** enum remote_mode - of remote_request; @REMOTE_FINISH: no image */
enum remote_mode { REMOTE_READ, REMOTE_WRITE, REMOTE_APPEND, REMOTE_FINISH };

/**
 * struct remote_request - a request
 * @writes: the caller has something to say: with REMOTE_FINISH, the caller is a dump
 * @key: "SNAPSHOT_ID/NAME", by which proxy and cache know the image; a name has no slash
 * @snapshot: the snapshot id
 */
struct remote_request {
	enum remote_mode mode;
	bool writes;
	char key[IMAGE_NAME_BYTES + 1], snapshot[IMAGE_NAME_BYTES + 1];
};

/** remote_request_read() - Return: 1 a request, 0 the end of the connection, -1 with @err */
int remote_request_read(int fd, struct remote_request *request, struct error *err);

/** remote_request_is_list() - whether the image is the list of snapshots, with which each restore begins */
bool remote_request_is_list(const struct remote_request *request);

/** remote_reply_write() - answer a request that reads. @error: 0 or an errno. 0, or -1 with errno */
int remote_reply_write(int fd, int error);

#endif
