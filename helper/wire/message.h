/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A control message before anybody looks at what it says: its kind, by its first bytes, and the
 * words in it. Which kind may come, and how long it may be, is in wire/course.h.
 */
#ifndef MIGRATE_WIRE_MESSAGE_H
#define MIGRATE_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "control.pb-c.h"

#define MESSAGE_HEAD_BYTES	2	/* in which the kind of a message stands */

/** message_kind() - kind of the message that begins with these @bytes; NOT_SET: none */
Migrate__Control__BodyCase message_kind(const uint8_t *head, uint32_t bytes);

/**
 * message_unpack() - the message, with the words of the other side made printable
 *
 * A field of two bytes on the wire can take a hundred here: a message that takes many times its
 * bytes is refused.
 * Return: NULL with CODE_PEER
 */
Migrate__Control *message_unpack(const uint8_t *buf, uint32_t bytes, struct error *err);

/**
 * message_pack() - @msg as it goes over the connection, its length first; to be freed
 * Return: NULL with CODE_INTERNAL
 */
uint8_t *message_pack(const Migrate__Control *msg, size_t *bytes, struct error *err);

/** message_pack_abort() - an Abort, as message_pack() packs it; control_send_abort() says more */
uint8_t *message_pack_abort(const struct error *why, bool unstarted, size_t *bytes,
			    struct error *err);

#endif
