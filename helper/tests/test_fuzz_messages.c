// SPDX-License-Identifier: GPL-2.0
/* The messages with which the fuzz targets begin have every field of wire/control.proto. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fuzz/common.c"
#include "fuzz/messages.c"

static bool is_set(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field)
{
	const uint8_t *at = (const uint8_t *)msg + field->offset;
	const uint8_t *quantifier = (const uint8_t *)msg + field->quantifier_offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)quantifier;
	if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(void *const *)at;
	return field->label == PROTOBUF_C_LABEL_REQUIRED || *(const protobuf_c_boolean *)quantifier;
}

static void check_message(const ProtobufCMessage *msg)
{
	for (unsigned int i = 0; i < msg->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &msg->descriptor->fields[i];
		const void *at = (const uint8_t *)msg + field->offset;

		if (!is_set(msg, field))
			fail_msg("%s.%s is not there", msg->descriptor->name, field->name);
		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			check_message(**(ProtobufCMessage *const *const *)at);
		else
			check_message(*(ProtobufCMessage *const *)at);
	}
}

static void check_body(void *ctx, const Migrate__Control *msg)
{
	unsigned int *nr = ctx;

	check_message((const ProtobufCMessage *)msg->hello);
	(*nr)++;
}

static void each_field_is_there(void **state)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < migrate__control__descriptor.n_fields; i++)
		messages_with(migrate__control__descriptor.fields[i].id, check_body, &nr);
	assert_int_equal(nr, migrate__control__descriptor.n_fields);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_field_is_there) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
