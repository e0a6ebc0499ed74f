// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "hostile_wire.h"

#define ANSWER_MS	40000
#define PID		4711
#define VERSION		6	/* of the protocol */

const char *where, *from;
static uint8_t id[16];

static void put_varint(struct buf *buf, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		buf->data[buf->len++] = value | 0x80;
	buf->data[buf->len++] = value;
}

void put_number(struct buf *buf, int field, uint64_t value)
{
	put_varint(buf, field << 3);
	put_varint(buf, value);
}

void put_bytes(struct buf *buf, int field, const void *data, size_t len)
{
	put_varint(buf, field << 3 | 2);
	put_varint(buf, len);
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
}

void put_text(struct buf *buf, int field, const char *text)
{
	put_bytes(buf, field, text, strlen(text));
}

void write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n <= 0)
			err(3, "write");
		at += n;
		len -= n;
	}
}

static bool read_all(int fd, void *data, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char *at = data;

	while (len) {
		ssize_t n = poll(&pfd, 1, ANSWER_MS) == 1 ? read(fd, at, len) : -1;

		if (n <= 0)
			return false;
		at += n;
		len -= n;
	}
	return true;
}

void send_body(int fd, enum body body, const struct buf *inner)
{
	static struct buf outer;
	uint32_t len;

	outer.len = 0;
	put_bytes(&outer, body, inner->data, inner->len);
	len = outer.len;
	write_all(fd, &len, sizeof(len));
	write_all(fd, outer.data, outer.len);
}

int next_body(int fd)
{
	static uint8_t data[1 << 20];
	uint32_t len;
	int tag;

	do {
		if (!read_all(fd, &len, sizeof(len)) || len > sizeof(data) ||
		    !read_all(fd, data, len) || len < 2)
			return 0;
		tag = data[0] & 0x80 ? (data[0] & 0x7f) | data[1] << 7 : data[0];
	} while (tag >> 3 == HEARTBEAT);
	for (uint32_t i = 0; i < len; i++)
		putchar(data[i] >= ' ' && data[i] < 0x7f ? data[i] : '.');
	putchar('\n');
	return tag >> 3;
}

static int connect_fd(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET };
	bool is_unix = !strncmp(where, "unix:", 5);
	int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0), ret;

	if (is_unix) {
		strncpy(un.sun_path, where + 5, sizeof(un.sun_path) - 1);
		ret = connect(fd, (void *)&un, sizeof(un));
	} else {
		if (from && (inet_pton(AF_INET, from, &in.sin_addr) != 1 ||
			     bind(fd, (void *)&in, sizeof(in))))
			err(3, "cannot call from %s", from);
		in.sin_port = htons(atoi(where));
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		ret = connect(fd, (void *)&in, sizeof(in));
	}
	if (ret)
		err(3, "cannot connect to %s", where);
	return fd;
}

int connect_as(enum kind kind)
{
	struct {
		char magic[4];
		uint16_t version;
		uint8_t kind, index, id[16], pad[8];
	} pre = { .magic = "SVMC", .version = 1, .kind = kind };
	int fd = connect_fd();

	memcpy(pre.id, id, sizeof(id));
	write_all(fd, &pre, sizeof(pre));
	return fd;
}

void new_id(void)
{
	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		err(3, "getrandom");
}

void send_hello(int fd, const char *host)
{
	static struct buf buf;

	buf.len = 0;
	put_number(&buf, 1, VERSION);
	put_text(&buf, 2, "hostile");
	put_text(&buf, 4, host);
	send_body(fd, HELLO, &buf);
}

void put_vma(struct buf *to, int field, uint64_t start, uint64_t end)
{
	static struct buf buf;

	buf.len = 0;
	put_number(&buf, 1, start);
	put_number(&buf, 2, end);
	put_number(&buf, 3, 3);
	put_number(&buf, 4, 0);
	put_number(&buf, 5, 1);
	put_number(&buf, 6, 1);
	put_bytes(to, field, buf.data, buf.len);
}

static void put_object(struct buf *buf, int field)
{
	struct buf *object = calloc(1, sizeof(*object));

	put_number(object, 1, OBJECT);
	put_number(object, 2, 1);
	put_number(object, 3, PID);
	put_bytes(buf, field, object->data, object->len);
	free(object);
}

static void put_criu(struct buf *buf, int field)
{
	struct buf *criu = calloc(1, sizeof(*criu));

	put_number(criu, 1, 3);
	put_number(criu, 2, 0);
	put_number(criu, 3, 0);
	put_bytes(buf, field, criu->data, criu->len);
	free(criu);
}

void send_setup(int fd, const char *comm, const char *flag)
{
	static struct buf buf;
	struct utsname uts;

	uname(&uts);
	buf.len = 0;
	put_number(&buf, 1, PID);
	put_text(&buf, 2, comm);
	put_number(&buf, 3, 1);
	put_vma(&buf, 4, BASE, BASE + (1UL << 44));
	put_number(&buf, 6, 16 * MIB);
	put_criu(&buf, 7);
	put_text(&buf, 8, uts.release);
	put_text(&buf, 9, uts.machine);
	if (flag)
		put_text(&buf, 10, flag);
	put_text(&buf, 11, "auto");
	put_number(&buf, 13, 30);
	put_object(&buf, 50);
	send_body(fd, SETUP, &buf);
}

void send_frame(int fd, uint32_t magic, uint32_t round, uint32_t nr_runs, uint64_t addr,
		       uint32_t nr_pages)
{
	struct {
		uint32_t magic, nr_runs, nr_pages, reserved;
		uint64_t cookie;
		uint64_t addr;
		uint32_t run_pages, flags;
	} frame = {
		.magic = magic, .nr_runs = nr_runs, .cookie = (uint64_t)round << 32 | OBJECT,
		.nr_pages = magic == MAGIC_PAGES ? nr_pages : 0, .addr = addr, .run_pages = nr_pages,
	};

	write_all(fd, &frame, nr_runs ? 40 : 24);
}

void begin_round(int fd, uint32_t round)
{
	static struct buf buf;

	buf.len = 0;
	put_number(&buf, 1, round);
	put_number(&buf, 2, 1);
	send_body(fd, ROUND_BEGIN, &buf);
}

void say_frozen(int fd)
{
	static struct buf buf;

	buf.len = 0;
	put_criu(&buf, 1);
	send_body(fd, FROZEN, &buf);
}
