// SPDX-License-Identifier: GPL-2.0
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include "base/unpack.h"
#include "criu/page_stream.h"
#include "services/image_message.h"

#define UNPACK_TIMES	12

int image_message_recv(int fd, const ProtobufCMessageDescriptor *type, uint32_t max,
		       ProtobufCMessage **msg)
{
	const struct page_stream stream = { .fd = fd };
	uint8_t raw[IMAGE_REQUEST_MAX];
	uint32_t bytes;
	int ret = page_stream_read(&stream, &bytes, sizeof(bytes));

	*msg = NULL;
	if (ret <= 0)
		return ret;
	if (!bytes || bytes > max || page_stream_read(&stream, raw, bytes) <= 0)
		return -1;
	*msg = unpack(type, raw, bytes, UNPACK_TIMES);
	return *msg ? 1 : -1;
}

int image_message_send(int fd, const ProtobufCMessage *msg)
{
	uint8_t raw[sizeof(uint32_t) + IMAGE_REPLY_MAX];
	uint32_t bytes = protobuf_c_message_get_packed_size(msg);

	memcpy(raw, &bytes, sizeof(bytes));
	protobuf_c_message_pack(msg, raw + sizeof(bytes));
	bytes += sizeof(bytes);
	return send(fd, raw, bytes, MSG_NOSIGNAL) == (ssize_t)bytes ? 0 : -1;
}
