/* SPDX-License-Identifier: GPL-2.0 */
/* Messages of others: how much memory, and time, one may take. */
#ifndef MIGRATE_BASE_UNPACK_H
#define MIGRATE_BASE_UNPACK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/**
 * unpack() - as protobuf_c_message_unpack(), with a limit
 * @times: what it may allocate in all, in bytes of @data: some ten are enough for lists. A field that stands in the
 *	message again is merged with the one before, whose lists are copied: without a limit the time would grow
 *	with the square of @bytes
 *
 * Return: NULL when it is malformed or takes more; free it without an allocator
 */
struct ProtobufCMessage *unpack(const struct ProtobufCMessageDescriptor *type, const uint8_t *data,
				size_t bytes, unsigned int times);

#endif
