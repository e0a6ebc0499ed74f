// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "base/unpack.h"

#define UNPACK_FREE		65536U	/* a short message may take more than its bytes */
#define ALLOC_BYTES		16	/* overhead of each malloc() */

static void *unpack_alloc(void *left, size_t bytes)
{
	size_t cost = bytes + ALLOC_BYTES;

	if (cost > *(size_t *)left)
		return NULL;
	*(size_t *)left -= cost;
	return malloc(bytes);
}

static void unpack_free(void *left, void *data)
{
	(void)left;
	free(data);
}

struct ProtobufCMessage *unpack(const struct ProtobufCMessageDescriptor *type, const uint8_t *data,
				size_t bytes, unsigned int times)
{
	size_t left = UNPACK_FREE + bytes * times;
	ProtobufCAllocator allocator = { unpack_alloc, unpack_free, &left };

	return protobuf_c_message_unpack(type, &allocator, bytes, data);
}
