/* SPDX-License-Identifier: GPL-2.0 */
/* Messages of CRIU on the sockets of image-proxy and image-cache: a u32 length, and a protobuf message. */
#ifndef MIGRATE_SERVICES_IMAGE_MESSAGE_H
#define MIGRATE_SERVICES_IMAGE_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#define IMAGE_REQUEST_MAX	4096U	/* bytes of a request */
#define IMAGE_REPLY_MAX		64U

/**
 * image_message_recv() - wait for a message
 * @max: most bytes, up to IMAGE_REQUEST_MAX
 * @msg: for protobuf_c_message_free_unpacked(); NULL when none came
 * Return: 1 a message, 0 the end of the connection, -1 another thing came
 */
int image_message_recv(int fd, const ProtobufCMessageDescriptor *type, uint32_t max,
		       ProtobufCMessage **msg);

/** image_message_send() - send a message of IMAGE_REPLY_MAX bytes at most; 0, or -1 with errno */
int image_message_send(int fd, const ProtobufCMessage *msg);

#endif
