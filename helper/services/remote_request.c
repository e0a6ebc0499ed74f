// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "images.pb-c.h"
#include "services/image_message.h"
#include "services/remote_request.h"

static int take_mode(uint32_t open_mode, struct remote_request *request)
{
	request->writes = open_mode != O_RDONLY;
	if (open_mode == O_APPEND)
		request->mode = REMOTE_APPEND;
	else if (open_mode == O_WRONLY)
		request->mode = REMOTE_WRITE;
	else if (open_mode == O_RDONLY)
		request->mode = REMOTE_READ;
	else
		return -1;
	return 0;
}

static int take_request(const Img__RemoteRequest *msg, struct remote_request *request)
{
	size_t name = strlen(msg->name), snapshot = strlen(msg->snapshot_id);

	*request = (struct remote_request){ 0 };
	if (take_mode(msg->open_mode, request))
		return -1;
	if (!name && !snapshot) {
		request->mode = REMOTE_FINISH;
		return 0;
	}
	if (!name || strchr(msg->name, '/') || *msg->snapshot_id == *IMAGE_CHAIN_PREFIX || snapshot > IMAGE_NAME_BYTES ||
	    snprintf(request->key, sizeof(request->key), "%s/%s", msg->snapshot_id, msg->name) >=
		    (int)sizeof(request->key))
		return -1;
	memcpy(request->snapshot, msg->snapshot_id, snapshot);
	return 0;
}

int remote_request_read(int fd, struct remote_request *request, struct error *err)
{
	ProtobufCMessage *msg;
	int ret = image_message_recv(fd, &img__remote_request__descriptor, IMAGE_REQUEST_MAX, &msg);

	if (ret > 0 && take_request((Img__RemoteRequest *)msg, request))
		ret = -1;
	if (msg)
		protobuf_c_message_free_unpacked(msg, NULL);
	return ret >= 0 ? ret :
	       error_set(err, CODE_PEER, "name and snapshot id may have 254 bytes together",
			 "it does not speak the protocol of criu --remote");
}

bool remote_request_is_list(const struct remote_request *request)
{
	return request->mode != REMOTE_FINISH && !strcmp(request->key, "/" REMOTE_LIST);
}

int remote_reply_write(int fd, int error)
{
	Img__RemoteReply msg = IMG__REMOTE_REPLY__INIT;

	msg.error = error;
	return image_message_send(fd, &msg.base);
}
