// SPDX-License-Identifier: GPL-2.0
/* A message of another side takes no more memory than it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/unpack.h"
#include "images.pb-c.h"

#define MANY	10000

static size_t packed(size_t nr, uint8_t **data)
{
	Img__UsernsEntry map = IMG__USERNS_ENTRY__INIT;
	Img__UidGidExtent extent = IMG__UID_GID_EXTENT__INIT;
	size_t bytes;

	map.n_uid_map = nr;
	map.uid_map = calloc(nr, sizeof(*map.uid_map));
	for (size_t i = 0; i < nr; i++)
		map.uid_map[i] = &extent;
	bytes = img__userns_entry__get_packed_size(&map);
	*data = malloc(bytes);
	img__userns_entry__pack(&map, *data);
	free(map.uid_map);
	return bytes;
}

static bool fits(size_t nr, unsigned int times)
{
	uint8_t *data;
	size_t bytes = packed(nr, &data);
	struct ProtobufCMessage *msg = unpack(&img__userns_entry__descriptor, data, bytes, times);
	bool ret = msg && ((Img__UsernsEntry *)msg)->n_uid_map == nr;

	if (msg)
		protobuf_c_message_free_unpacked(msg, NULL);
	free(data);
	return ret;
}

static void lists_take_their_share(void **state)
{
	assert_true(fits(MANY, 20));
	assert_false(fits(MANY, 2));
	/* a short message may take more than its bytes */
	assert_true(fits(10, 0));
}

static void nonsense_is_refused(void **state)
{
	assert_null(unpack(&img__userns_entry__descriptor, (const uint8_t *)"\x0a\xff\xff\xff", 4, 12));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_take_their_share), cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
