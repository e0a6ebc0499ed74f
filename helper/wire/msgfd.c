// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/unpack.h"
#include "wire/msgfd.h"

#define FIELDS_BYTES	64	/* of a message beside its text */
#define UNPACK_TIMES	4
#define HINT		"the man page of migrate-helper says what a manager answers"

void msgfd_init(struct msgfd *msgfd, int fd)
{
	msgfd->fd = fd;
	msgfd->got = 0;
}

static int send_all(int fd, const uint8_t *data, size_t bytes, int timeout_ms, struct error *err)
{
	int64_t until = clock_now_ms() + timeout_ms;

	while (bytes) {
		ssize_t n = send(fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
		struct pollfd pfd = { .fd = fd, .events = POLLOUT };
		int64_t left = until - clock_now_ms();

		if (n >= 0) {
			data += n;
			bytes -= n;
		} else if (errno == EAGAIN && left > 0) {
			poll(&pfd, 1, left);
		} else if (errno == EAGAIN) {
			return error_set(err, CODE_ABORTED, HINT,
					 "the manager takes no message: %d ms have passed", timeout_ms);
		} else if (errno != EINTR) {
			return error_errno(err, CODE_ABORTED, NULL, "cannot tell the manager anything");
		}
	}
	return 0;
}

/* How much of @text to say. No character is cut in two, since a manager may refuse what is no UTF-8. */
static size_t text_length(const char *text)
{
	size_t len = strnlen(text, MSGFD_BYTES - FIELDS_BYTES + 1);

	if (len > MSGFD_BYTES - FIELDS_BYTES)
		while (len && ((unsigned char)text[--len] & 0xc0) == 0x80)
			;
	return len;
}

int msgfd_send(struct msgfd *msgfd, PhaulType type, const char *text, int timeout_ms, struct error *err)
{
	Phaul msg = PHAUL__INIT;
	uint32_t length;
	uint8_t *data;
	int ret;

	msg.type = type;
	if (text)
		msg.message = strndup(text, text_length(text));
	length = phaul__get_packed_size(&msg);
	data = malloc(sizeof(length) + length);
	if (!data || (text && !msg.message)) {
		ret = error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	} else {
		phaul__pack(&msg, data + sizeof(length));
		memcpy(data, &(uint32_t){ htole32(length) }, sizeof(length));
		ret = send_all(msgfd->fd, data, sizeof(length) + length, timeout_ms, err);
	}
	free(data);
	free(msg.message);
	return ret;
}

int msgfd_unpack(const uint8_t *data, size_t bytes, struct msgfd_message *msg, struct error *err)
{
	Phaul *said = (Phaul *)unpack(&phaul__descriptor, data, bytes, UNPACK_TIMES);
	int ret = 0;

	if (!said)
		return error_set(err, CODE_ABORTED, HINT, "the manager sent %zu bytes that are no message", bytes);
	*msg = (struct msgfd_message){ .type = said->type, .bytes = said->has_bytes ? said->bytes : 0 };
	if (said->message)
		text_printable(msg->text, sizeof(msg->text), said->message);
	if (!protobuf_c_enum_descriptor_get_value(&phaul_type__descriptor, said->type))
		ret = error_set(err, CODE_ABORTED, HINT, "the manager sent a message of type %d, which there is not",
				(int)said->type);
	phaul__free_unpacked(said, NULL);
	return ret;
}

/* What was read so far says how much belongs to the message. */
static int bytes_wanted(const struct msgfd *msgfd, size_t *bytes, struct error *err)
{
	uint32_t length;

	*bytes = sizeof(length);
	if (msgfd->got < sizeof(length))
		return 0;
	memcpy(&length, msgfd->buf, sizeof(length));
	length = le32toh(length);
	if (length > MSGFD_BYTES)
		return error_set(err, CODE_ABORTED, HINT,
				 "the manager announced a message of %u bytes; a message has at most %d",
				 length, MSGFD_BYTES);
	*bytes += length;
	return 0;
}

/* Return: 1 with bytes, 0 without, -1 */
static int read_some(struct msgfd *msgfd, size_t bytes, int timeout_ms, struct error *err)
{
	struct pollfd pfd = { .fd = msgfd->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&pfd, 1, timeout_ms) <= 0)
		return 0;
	n = recv(msgfd->fd, msgfd->buf + msgfd->got, bytes, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return error_errno(err, CODE_ABORTED, NULL, "the manager is gone");
	if (!n)
		return error_set(err, CODE_ABORTED, NULL, "the manager closed its end of --msgfd");
	msgfd->got += n;
	return 1;
}

int msgfd_recv(struct msgfd *msgfd, int timeout_ms, struct msgfd_message *msg, struct error *err)
{
	size_t wanted;
	int got;

	if (bytes_wanted(msgfd, &wanted, err))
		return -1;
	got = read_some(msgfd, wanted - msgfd->got, timeout_ms, err);
	if (got <= 0)
		return got;
	/* the length may be whole now, and say how much more belongs to it */
	if (bytes_wanted(msgfd, &wanted, err))
		return -1;
	if (msgfd->got < wanted)
		return 0;
	msgfd->got = 0;
	return msgfd_unpack(msgfd->buf + sizeof(uint32_t), wanted - sizeof(uint32_t), msg, err) ? -1 : 1;
}

int msgfd_check_quiet(struct msgfd *msgfd, struct error *err)
{
	int got = read_some(msgfd, sizeof(uint32_t), 0, err);

	return got > 0 ? error_set(err, CODE_ABORTED, HINT, "the manager answered before it was asked") : got;
}
