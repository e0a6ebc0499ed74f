/* SPDX-License-Identifier: GPL-2.0 */
/* Limits the memory and the time that a message of another machine takes. */
#ifndef MIGRATE_BASE_UNPACK_H
#define MIGRATE_BASE_UNPACK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/**
 * unpack() - as protobuf_c_message_unpack(), with a limit
 * @times: the message may allocate @times @bytes in all; some ten to twenty are enough for lists. protobuf-c merges a
 *	field that comes again with the earlier one, and copies its lists: without a limit the time would grow with
 *	the square of @bytes
 *
 * Return: the message, to be freed without an allocator; NULL when the message is malformed or takes more
 */
struct ProtobufCMessage *unpack(const struct ProtobufCMessageDescriptor *type, const uint8_t *data,
				size_t bytes, unsigned int times);

#endif
