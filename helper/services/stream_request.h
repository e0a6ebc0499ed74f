/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `criu --stream` says on its socket: a u32 length, and a protobuf message with the name of an image. A
 * dump then sends the read end of a pipe, with one byte. A restore first gets an answer, and sends the write end
 * of a pipe if the image exists.
 */
#ifndef MIGRATE_SERVICES_STREAM_REQUEST_H
#define MIGRATE_SERVICES_STREAM_REQUEST_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "services/image_frame.h"

#define STREAM_CAPTURE_SOCKET	"streamer-capture.sock"	/* to which a dump connects, in its --images-dir */
#define STREAM_SERVE_SOCKET	"streamer-serve.sock"	/* to which a restore connects */

/**
 * struct stream_request - a request
 * @name: of an image; empty with @confirm
 * @confirm: the caller is an action script, and asks about the dump of its CRIU
 * @root: with @confirm: a pidfd of the program's root follows
 */
struct stream_request {
	char name[IMAGE_NAME_BYTES + 1];
	bool confirm, root;
};

/** stream_request_read() - Return: 1 a request, 0 the end of the connection, -1 with @err */
int stream_request_read(int fd, struct stream_request *request, struct error *err);

/** stream_request_confirm() - write a request with @confirm. @root_fd: pidfd, or -1. 0, or -1 with errno */
int stream_request_confirm(int fd, int root_fd);

/** stream_root_read() - receive the pidfd of a request with @root; -1 when none came */
int stream_root_read(int fd);

/** stream_reply_write() - 0, or -1 with errno */
int stream_reply_write(int fd, bool exists);

/** stream_reply_read() - 0, or -1 when none came, or one that is malformed */
int stream_reply_read(int fd, bool *exists);

/**
 * stream_pipe_read() - receive one end of a pipe
 * @mode: O_RDONLY or O_WRONLY, the access that the descriptor must have
 * @sender: as for fdpass_recv_bytes()
 * Return: the descriptor, which does not block; -1 with @err
 */
int stream_pipe_read(int fd, int mode, pid_t *sender, struct error *err);

#endif
