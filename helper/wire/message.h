/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packs and unpacks control messages: reads a message's kind from its first bytes, and makes its
 * strings printable. wire/course.h says which kinds may pass, and how long they may be.
 */
#ifndef MIGRATE_WIRE_MESSAGE_H
#define MIGRATE_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "control.pb-c.h"

#define MESSAGE_HEAD_BYTES	2	/* first bytes, which give the kind */

/** message_kind() - kind of the message that begins with @head; NOT_SET: no known kind */
Migrate__Control__BodyCase message_kind(const uint8_t *head, uint32_t bytes);

/**
 * message_unpack() - unpack a message, and make the strings of the other side printable
 *
 * A field of two bytes on the wire can take a hundred bytes of memory: the function refuses a
 * message that takes many times its bytes.
 * Return: NULL with CODE_PEER
 */
Migrate__Control *message_unpack(const uint8_t *buf, uint32_t bytes, struct error *err);

/**
 * message_pack() - @msg as bytes for the connection, the length first
 * Return: free() it; NULL with CODE_INTERNAL
 */
uint8_t *message_pack(const Migrate__Control *msg, size_t *bytes, struct error *err);

/** message_pack_abort() - message_pack() of an Abort; arguments as in control_send_abort() */
uint8_t *message_pack_abort(const struct error *why, bool unstarted, size_t *bytes,
			    struct error *err);

#endif
