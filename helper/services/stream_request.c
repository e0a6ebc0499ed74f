// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fdpass.h"
#include "images.pb-c.h"
#include "services/image_message.h"
#include "services/stream_request.h"

static int take_request(const Img__StreamRequest *msg, struct stream_request *request)
{
	size_t bytes = strlen(msg->filename);

	*request = (struct stream_request){ .confirm = msg->confirm, .root = msg->root };
	if (request->confirm == !!bytes || (request->root && !request->confirm) || bytes > IMAGE_NAME_BYTES)
		return -1;
	memcpy(request->name, msg->filename, bytes);
	return 0;
}

int stream_request_read(int fd, struct stream_request *request, struct error *err)
{
	ProtobufCMessage *msg;
	int ret = image_message_recv(fd, &img__stream_request__descriptor, IMAGE_REQUEST_MAX, &msg);

	if (ret > 0 && take_request((Img__StreamRequest *)msg, request))
		ret = -1;
	if (msg)
		protobuf_c_message_free_unpacked(msg, NULL);
	return ret >= 0 ? ret :
	       error_set(err, CODE_PEER, NULL, "it does not speak the protocol of criu --stream");
}

int stream_request_confirm(int fd, int root_fd)
{
	Img__StreamRequest msg = IMG__STREAM_REQUEST__INIT;

	msg.filename = (char *)"";
	msg.has_confirm = true;
	msg.confirm = true;
	msg.has_root = root_fd >= 0;
	msg.root = root_fd >= 0;
	if (image_message_send(fd, &msg.base))
		return -1;
	return root_fd >= 0 ? fdpass_send(fd, "", 1, &root_fd, 1) : 0;
}

int stream_root_read(int fd)
{
	uint8_t byte;
	int passed = -1;

	return fdpass_recv_bytes(fd, &byte, 1, &passed, NULL) == 1 ? passed : -1;
}

int stream_reply_write(int fd, bool exists)
{
	Img__StreamReply msg = IMG__STREAM_REPLY__INIT;

	msg.exists = exists;
	return image_message_send(fd, &msg.base);
}

int stream_reply_read(int fd, bool *exists)
{
	ProtobufCMessage *msg;
	int ret = image_message_recv(fd, &img__stream_reply__descriptor, IMAGE_REPLY_MAX, &msg);

	if (ret <= 0)
		return -1;
	*exists = ((Img__StreamReply *)msg)->exists;
	protobuf_c_message_free_unpacked(msg, NULL);
	return 0;
}

static bool is_pipe_end(int fd, int mode)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	return !fstat(fd, &st) && S_ISFIFO(st.st_mode) && flags >= 0 &&
	       (flags & O_ACCMODE) == mode && !fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int stream_pipe_read(int fd, int mode, pid_t *sender, struct error *err)
{
	uint8_t byte;
	int passed;
	ssize_t n = fdpass_recv_bytes(fd, &byte, 1, &passed, sender);

	if (n == 1 && passed >= 0 && is_pipe_end(passed, mode))
		return passed;
	if (n == 1 && passed >= 0)
		close(passed);
	return error_set(err, CODE_PEER, NULL, "no end of a pipe came after the name of an image");
}
