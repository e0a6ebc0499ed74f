// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "services/image_frame.h"

#define FRAME_MAGIC	0x49565300U	/* the lowest byte is the kind */

/** struct head - the first bytes of a frame, little-endian */
struct head {
	uint32_t magic, number, bytes;
};

/** struct form - @text: bytes before the text; @least, @most: of all that follows the head */
static const struct form {
	uint32_t least, most, numbers;
	uint8_t text;
} forms[] = {
	[IMAGE_HELLO] = { 0, 0, UINT32_MAX, 0 },
	[IMAGE_DUMP] = { 1, IMAGE_NAME_BYTES, IMAGE_DUMPS_MAX, 0 },
	[IMAGE_OPEN] = { 4 + 1, 4 + IMAGE_NAME_BYTES, IMAGES_OPEN_MAX, 4 },
	[IMAGE_DATA] = { 1, IMAGE_DATA_MAX, IMAGES_OPEN_MAX, 0 },
	[IMAGE_END] = { 8, 8, IMAGES_OPEN_MAX, 8 },
	[IMAGE_SEAL] = { 8, 8, IMAGE_DUMPS_MAX, 8 },
	[IMAGE_COMMIT] = { 0, 0, IMAGE_DUMPS_MAX, 0 },
	[IMAGE_ABORT] = { 0, 0, IMAGE_DUMPS_MAX, 0 },
	[IMAGE_SEALED] = { 0, 0, IMAGE_DUMPS_MAX, 0 },
	[IMAGE_REFUSED] = { 1, IMAGE_NAME_BYTES, IMAGE_DUMPS_MAX, 0 },
};

#define PAYLOAD_MAX	(8 + IMAGE_NAME_BYTES)

static int malformed(struct error *err, const char *what)
{
	return error_set(err, CODE_PEER, "use the same version on both sides",
			 "the other side sent %s", what);
}

static int unpack_payload(struct image_frame *frame, const uint8_t *raw, uint32_t bytes,
			  struct error *err)
{
	uint8_t at = forms[frame->kind].text;
	uint32_t dump;
	uint64_t size;

	if (frame->kind == IMAGE_OPEN) {
		memcpy(&dump, raw, sizeof(dump));
		frame->dump = le32toh(dump);
	} else if (at) {
		memcpy(&size, raw, sizeof(size));
		frame->size = le64toh(size);
	}
	memcpy(frame->text, raw + at, bytes - at);
	if (memchr(frame->text, 0, bytes - at) || frame->dump >= IMAGE_DUMPS_MAX)
		return malformed(err, "a frame with a bad name");
	return 0;
}

/* Return: 1, 0 at the end of the connection */
static int recv_head(const struct conn *conn, struct head *head, struct error *err)
{
	ssize_t n = conn_read_some(conn, head, sizeof(*head), -1, err);

	if (n <= 0)
		return n;
	return (size_t)n == sizeof(*head) ||
	       !conn_read(conn, (uint8_t *)head + n, sizeof(*head) - n, 0, err) ? 1 : -1;
}

static int unpack_head(struct image_frame *frame, const struct head *head, struct error *err)
{
	uint32_t kind = le32toh(head->magic) - FRAME_MAGIC;
	const struct form *form;

	if (kind < IMAGE_HELLO || kind > IMAGE_REFUSED)
		return malformed(err, "no frame of images");
	form = &forms[kind];
	*frame = (struct image_frame){ .kind = kind, .number = le32toh(head->number),
				       .bytes = le32toh(head->bytes) };
	if (frame->bytes < form->least || frame->bytes > form->most || frame->number >= form->numbers)
		return malformed(err, "a frame with a bad length or number");
	return 0;
}

int image_frame_recv(const struct conn *conn, struct image_frame *frame, struct error *err)
{
	uint8_t raw[PAYLOAD_MAX];
	struct head head;
	int ret = recv_head(conn, &head, err);

	if (ret <= 0)
		return ret;
	if (unpack_head(frame, &head, err))
		return -1;
	if (frame->kind == IMAGE_DATA)
		return 1;
	if (frame->bytes && conn_read(conn, raw, frame->bytes, 0, err))
		return -1;
	return unpack_payload(frame, raw, frame->bytes, err) ? -1 : 1;
}

/* Return: bytes of the payload */
static uint32_t pack_payload(const struct image_frame *frame, uint8_t *raw)
{
	uint8_t at = forms[frame->kind].text;
	uint32_t dump = htole32(frame->dump);
	uint64_t size = htole64(frame->size);
	size_t text = strlen(frame->text);

	if (at == sizeof(dump))
		memcpy(raw, &dump, sizeof(dump));
	else if (at)
		memcpy(raw, &size, sizeof(size));
	memcpy(raw + at, frame->text, text);
	return at + text;
}

/* The data of a DATA frame follow: wait for them with the packet. */
static int send_head_more(const struct conn *conn, const void *from, size_t bytes, struct error *err)
{
	ssize_t n;

	do
		n = send(conn->fd, from, bytes, MSG_NOSIGNAL | MSG_MORE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, CODE_NETWORK, NULL, "link lost while sending");
	return conn_write(conn, (const uint8_t *)from + n, bytes - n, 0, err);
}

int image_frame_send(const struct conn *conn, const struct image_frame *frame, struct error *err)
{
	struct {
		struct head head;
		uint8_t payload[PAYLOAD_MAX];
	} raw;
	uint32_t bytes = frame->kind == IMAGE_DATA ? 0 : pack_payload(frame, raw.payload);

	raw.head = (struct head){
		.magic = htole32(FRAME_MAGIC + frame->kind), .number = htole32(frame->number),
		.bytes = htole32(frame->kind == IMAGE_DATA ? frame->bytes : bytes),
	};
	return frame->kind == IMAGE_DATA ? send_head_more(conn, &raw.head, sizeof(raw.head), err) :
	       conn_write(conn, &raw, sizeof(raw.head) + bytes, 0, err);
}

/* The cache takes one proxy at a time: a stranger that says half a greeting must not keep the proxy out. */
static int recv_hello(const struct conn *conn, struct image_frame *hello, int timeout_ms,
		      struct error *err)
{
	int64_t end_ms = clock_now_ms() + timeout_ms, left_ms;
	struct head head;
	size_t done = 0;
	ssize_t n;

	while (done < sizeof(head)) {
		left_ms = end_ms - clock_now_ms();
		if (left_ms <= 0)
			return error_set(err, CODE_NETWORK, NULL, "the other side says nothing");
		n = conn_read_some(conn, (uint8_t *)&head + done, sizeof(head) - done, left_ms, err);
		if (n < 0)
			return -1;
		if (!n)
			return error_set(err, CODE_NETWORK, NULL, "the other side closed the connection");
		done += n;
	}
	if (unpack_head(hello, &head, err))
		return -1;
	return hello->kind == IMAGE_HELLO ? 0 : malformed(err, "no greeting");
}

int image_frame_greet(const struct conn *conn, int timeout_ms, struct error *err)
{
	struct image_frame hello = { .kind = IMAGE_HELLO, .number = IMAGE_LINK_VERSION };

	if (image_frame_send(conn, &hello, err) || recv_hello(conn, &hello, timeout_ms, err))
		return -1;
	return hello.number == IMAGE_LINK_VERSION ? 0 :
	       error_set(err, CODE_PEER, "use the same version on both sides",
			 "the other side speaks version %u of the link for images, this is version %u",
			 hello.number, IMAGE_LINK_VERSION);
}
