// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "base/unpack.h"
#include "wire/message.h"

#define NAME_MAX_BYTES		128	/* of a host's or a program's name, of a version */

#define UNPACK_TIMES		12	/* no list takes 8 times its bytes on the wire */

/* A message begins with the tag of its body: field number and wire type "message". */
Migrate__Control__BodyCase message_kind(const uint8_t *head, uint32_t bytes)
{
	uint32_t tag = bytes ? head[0] : 0;

	if (tag & 0x80)
		tag = bytes > 1 && !(head[1] & 0x80) ? (tag & 0x7f) | head[1] << 7 : 0;
	return (tag & 7) == 2 ? tag >> 3 : 0;
}

static void message_clean(Migrate__Control *msg)
{
	Migrate__NeedsReply *needs = msg->needs_reply;

	switch (msg->body_case) {
	case MIGRATE__CONTROL__BODY_HELLO:
		text_clean(&msg->hello->software, NAME_MAX_BYTES);
		text_clean(&msg->hello->hostname, NAME_MAX_BYTES);
		break;
	case MIGRATE__CONTROL__BODY_SETUP:
		text_clean(&msg->setup->comm, NAME_MAX_BYTES);
		break;
	case MIGRATE__CONTROL__BODY_SETUP_REPLY:
		for (size_t i = 0; i < msg->setup_reply->n_refusals; i++)
			text_clean(&msg->setup_reply->refusals[i], TEXT_MAX);
		break;
	case MIGRATE__CONTROL__BODY_NEEDS_REPLY:
		for (size_t i = 0; i < needs->n_refusals; i++)
			text_clean(&needs->refusals[i], TEXT_MAX);
		break;
	case MIGRATE__CONTROL__BODY_ATTRIBUTES:
		for (size_t i = 0; i < msg->attributes->n_attributes; i++)
			text_clean(&msg->attributes->attributes[i]->detail, TEXT_MAX);
		break;
	case MIGRATE__CONTROL__BODY_ABORT:
		text_clean(&msg->abort->reason, TEXT_MAX);
		break;
	default:
		break;
	}
}

Migrate__Control *message_unpack(const uint8_t *buf, uint32_t bytes, struct error *err)
{
	Migrate__Control *msg = (Migrate__Control *)unpack(&migrate__control__descriptor, buf, bytes,
							   UNPACK_TIMES);

	if (!msg) {
		error_set(err, CODE_PEER, NULL, "malformed message of %u bytes", bytes);
		return NULL;
	}
	message_clean(msg);
	return msg;
}

uint8_t *message_pack(const Migrate__Control *msg, size_t *bytes, struct error *err)
{
	size_t body = migrate__control__get_packed_size(msg);
	uint32_t length = htole32(body);
	uint8_t *buf;

	buf = malloc(sizeof(length) + body);
	if (!buf) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
		return NULL;
	}
	memcpy(buf, &length, sizeof(length));
	migrate__control__pack(msg, buf + sizeof(length));
	*bytes = sizeof(length) + body;
	return buf;
}

uint8_t *message_pack_abort(const struct error *why, bool unstarted, size_t *bytes,
			    struct error *err)
{
	Migrate__Abort abort = MIGRATE__ABORT__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;

	abort.reason = (char *)why->what;
	abort.has_code = true;
	abort.code = why->code;
	abort.has_unstarted = unstarted;
	abort.unstarted = unstarted;
	msg.body_case = MIGRATE__CONTROL__BODY_ABORT;
	msg.abort = &abort;
	return message_pack(&msg, bytes, err);
}
