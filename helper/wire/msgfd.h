/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The descriptor on which a manager is asked to move files, and told the outcome (--msgfd). Each message is a length,
 * le32, and a protobuf message "phaul". Not on the control connection: a manager is no helper, and is on this machine.
 */
#ifndef MIGRATE_WIRE_MSGFD_H
#define MIGRATE_WIRE_MSGFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/text.h"
#include "phaul.pb-c.h"

#define MSGFD_BYTES	65536	/* of a message, without its length */

/**
 * struct msgfd - of one thread
 * @fd: a stream socket; -1: there is no manager
 * @got: bytes of the message that is coming, its length included
 */
struct msgfd {
	int fd;
	size_t got;
	uint8_t buf[sizeof(uint32_t) + MSGFD_BYTES];
};

/** struct msgfd_message - @text: printable, empty when the manager said nothing; @bytes: 0 when it did not say */
struct msgfd_message {
	PhaulType type;
	uint64_t bytes;
	char text[TEXT_MAX];
};

static inline bool msgfd_is_open(const struct msgfd *msgfd)
{
	return msgfd->fd >= 0;
}

/** msgfd_init() - @fd is the caller's; -1: there is no manager */
void msgfd_init(struct msgfd *msgfd, int fd);

/**
 * msgfd_send() - one message
 * @text: UTF-8, of which what is beyond MSGFD_BYTES is left out; NULL: none
 * @timeout_ms: for a manager that does not read
 */
int msgfd_send(struct msgfd *msgfd, PhaulType type, const char *text, int timeout_ms, struct error *err);

/**
 * msgfd_recv() - read once, and maybe have a message
 * @timeout_ms: to wait for bytes
 * Return: 1; 0: it is not whole yet; -1 with @err: the manager hung up, or this is no message
 */
int msgfd_recv(struct msgfd *msgfd, int timeout_ms, struct msgfd_message *msg, struct error *err);

/** msgfd_check_quiet() - -1 with @err when something has come: nothing was asked, or the manager hung up */
int msgfd_check_quiet(struct msgfd *msgfd, struct error *err);

/** msgfd_unpack() - a message of @bytes, without its length; -1 with @err */
int msgfd_unpack(const uint8_t *data, size_t bytes, struct msgfd_message *msg, struct error *err);

#endif
