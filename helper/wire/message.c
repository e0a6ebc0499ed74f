// SPDX-License-Identifier: GPL-2.0
#include "ui/text.h"
#include "wire/message.h"

#define NAME_MAX_BYTES		128	/* of a host, a program, a version */

/* A message begins with the number of its body's field, and the type "message". */
Migrate__Control__BodyCase message_kind(const uint8_t *head, uint32_t bytes)
{
	uint32_t tag = bytes ? head[0] : 0;

	if (tag & 0x80)
		tag = bytes > 1 && !(head[1] & 0x80) ? (tag & 0x7f) | head[1] << 7 : 0;
	return (tag & 7) == 2 ? tag >> 3 : 0;
}

void message_clean(Migrate__Control *msg)
{
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
