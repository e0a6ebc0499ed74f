// SPDX-License-Identifier: GPL-2.0
/*
 * A hostile client of serve, with its own implementation of the protocol.
 *	hostile WHERE greet		Hello; exit status 0: serve answered
 *	hostile WHERE bare		a preamble, then hang-up
 *	hostile WHERE surplus		280 memory connections of one migration
 *	hostile WHERE idle NUMBER	so many accepted migrations that only repeat messages
 *	hostile WHERE same		a migration with the same id each time
 *	hostile WHERE flags		a Setup with an empty CPU flag, which serve must answer
 *	hostile WHERE text		names with escape sequences of a terminal
 *	hostile WHERE setup		an accepted Setup, then the end
 *	hostile WHERE rounds		the same round twice
 *	hostile WHERE populated		a list of 2^32 - 1 pages
 *	hostile WHERE images		images that were not announced
 *	hostile WHERE trickle		a byte of a page now and then
 * WHERE is unix:PATH or a port on 127.0.0.1; the variable FROM has another address to call from.
 * surplus, idle, same and trickle say "ready" and stay.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ANSWER_MS	40000
#define MAX_CONTROLS	64
#define BASE		0x400000000000UL
#define PID		4711
#define OBJECT		1	/* the name of its address space */
#define VERSION		6	/* of the protocol */
#define MAGIC_PAGES	0x53564d42	/* SPLICE_VM_BATCH_MAGIC */
#define MAGIC_POPULATED	0x53564d50
#define MAGIC_ROUND	0x53564d52
#define MAGIC_DROPPED	0x53564d44
#define MIB		(1UL << 20)

enum kind { CONTROL = 1, MEMORY, URGENT };
enum body { HELLO = 1, SETUP = 2, SETUP_REPLY = 3, MAPS = 4, ROUND_BEGIN = 5, FROZEN = 7, IMAGE_FILE = 9,
	    ABORT = 18, HEARTBEAT = 19 };

static const char *where, *from;
static uint8_t id[16];
static int controls[MAX_CONTROLS], memories[MAX_CONTROLS];
static size_t nr_controls;

/* Protobuf, as far as it is needed. */

struct buf {
	uint8_t data[2 << 20];
	size_t len;
};

static void put_varint(struct buf *buf, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		buf->data[buf->len++] = value | 0x80;
	buf->data[buf->len++] = value;
}

static void put_number(struct buf *buf, int field, uint64_t value)
{
	put_varint(buf, field << 3);
	put_varint(buf, value);
}

static void put_bytes(struct buf *buf, int field, const void *data, size_t len)
{
	put_varint(buf, field << 3 | 2);
	put_varint(buf, len);
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
}

static void put_text(struct buf *buf, int field, const char *text)
{
	put_bytes(buf, field, text, strlen(text));
}

static void write_all(int fd, const void *data, size_t len)
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

static void send_body(int fd, enum body body, const struct buf *inner)
{
	static struct buf outer;
	uint32_t len;

	outer.len = 0;
	put_bytes(&outer, body, inner->data, inner->len);
	len = outer.len;
	write_all(fd, &len, sizeof(len));
	write_all(fd, outer.data, outer.len);
}

/* Number of the next message that is no heartbeat; 0: the connection ended. Its text is said. */
static int next_body(int fd)
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

static int connect_as(enum kind kind)
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

static void new_id(void)
{
	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		err(3, "getrandom");
}

static void send_hello(int fd, const char *host)
{
	static struct buf buf;

	buf.len = 0;
	put_number(&buf, 1, VERSION);
	put_text(&buf, 2, "hostile");
	put_text(&buf, 4, host);
	send_body(fd, HELLO, &buf);
}

static int greeted(void)
{
	int fd = connect_as(CONTROL);

	send_hello(fd, "stranger");
	if (next_body(fd) != HELLO)
		errx(1, "nobody greets");
	if (nr_controls < MAX_CONTROLS)
		controls[nr_controls++] = fd;
	return fd;
}

static void put_vma(struct buf *to, int field, uint64_t start, uint64_t end)
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

static void send_setup(int fd, const char *comm, const char *flag)
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

/* A control connection whose Setup was accepted. */
static int set_up(int *memory)
{
	int fd = greeted();

	*memory = connect_as(MEMORY);
	connect_as(URGENT);
	send_setup(fd, "prog", NULL);
	if (next_body(fd) != SETUP_REPLY)
		errx(1, "Setup is not answered");
	return fd;
}

static void send_frame(int fd, uint32_t magic, uint32_t round, uint32_t nr_runs, uint64_t addr,
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

static void begin_round(int fd, uint32_t round)
{
	static struct buf buf;

	buf.len = 0;
	put_number(&buf, 1, round);
	put_number(&buf, 2, 1);
	send_body(fd, ROUND_BEGIN, &buf);
}

static void say_frozen(int fd)
{
	static struct buf buf;

	buf.len = 0;
	put_criu(&buf, 1);
	send_body(fd, FROZEN, &buf);
}

/* It lives, as far as anybody can tell. */
static void beat(void)
{
	static const uint8_t heartbeat[] = { 3, 0, 0, 0, 0x9a, 1, 0 };

	for (size_t i = 0; i < nr_controls; i++)
		send(controls[i], heartbeat, sizeof(heartbeat), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void stay(void)
{
	puts("ready");
	fflush(stdout);
	for (;;) {
		beat();
		sleep(1);
	}
}

/* The other side must give up, and say why. */
static int expect_abort(int fd)
{
	int body;

	do
		body = next_body(fd);
	while (body && body != ABORT);
	return body != ABORT;
}

static int do_surplus(void)
{
	int memory;

	/* its process looks for no more connections */
	set_up(&memory);
	for (int i = 0; i < 280; i++)
		connect_as(MEMORY);
	stay();
	return 0;
}

/* Legal all of it, and none of it brings the migration on; those that were ended meanwhile are left. */
static void repeat(int control, int memory)
{
	static struct buf maps;
	struct pollfd pfd = { .fd = control, .events = POLLOUT };

	if (poll(&pfd, 1, 0) != 1 || pfd.revents != POLLOUT)
		return;
	maps.len = 0;
	put_vma(&maps, 1, BASE, BASE + (1UL << 44));
	put_number(&maps, 50, OBJECT);
	send_body(control, MAPS, &maps);
	send_frame(memory, MAGIC_DROPPED, 0, 1, BASE, 1);
}

static void stay_in_vain(int nr)
{
	puts("ready");
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		beat();
		for (int i = 0; i < nr; i++)
			repeat(controls[i], memories[i]);
		sleep(1);
	}
}

static int do_idle(int nr)
{
	for (int i = 0; i < nr; i++) {
		new_id();
		set_up(&memories[i]);
		beat();
	}
	stay_in_vain(nr);
	return 0;
}

static int do_flags(void)
{
	int fd = greeted();

	connect_as(MEMORY);
	connect_as(URGENT);
	send_setup(fd, "prog", "");
	return next_body(fd) != SETUP_REPLY;
}

static int do_text(void)
{
	int fd = connect_as(CONTROL);

	send_hello(fd, "\033[2Jnode\nforged: a line\xff");
	if (next_body(fd) != HELLO)
		return 1;
	connect_as(MEMORY);
	connect_as(URGENT);
	send_setup(fd, "\033[31mprog\nforged: another", "\033[31m-flag\nforged: flag");
	return next_body(fd) != SETUP_REPLY;
}

static int do_rounds(void)
{
	int memory, fd = set_up(&memory);

	begin_round(fd, 1);
	send_frame(memory, MAGIC_ROUND, 1, 0, 0, 0);
	send_frame(memory, MAGIC_ROUND, 1, 0, 0, 0);
	return expect_abort(fd);
}

static int do_populated(void)
{
	int memory, fd = set_up(&memory);

	say_frozen(fd);
	send_frame(memory, MAGIC_POPULATED, 1, 1, BASE, ~0U);
	return expect_abort(fd);
}

static int do_images(void)
{
	static struct buf buf;
	static char piece[1 << 20];
	int memory, fd = set_up(&memory);

	signal(SIGPIPE, SIG_IGN);
	say_frozen(fd);
	for (uint64_t i = 0; i < 64; i++) {
		buf.len = 0;
		put_text(&buf, 1, "pages-1.img");
		put_number(&buf, 2, i * sizeof(piece));
		put_bytes(&buf, 3, piece, sizeof(piece));
		put_number(&buf, 4, 0);
		if (send(fd, "", 0, MSG_NOSIGNAL) < 0)
			break;
		send_body(fd, IMAGE_FILE, &buf);
		usleep(20000);
	}
	return expect_abort(fd);
}

static int do_trickle(void)
{
	static struct buf maps;
	int memory, fd = set_up(&memory);

	signal(SIGPIPE, SIG_IGN);
	begin_round(fd, 1);
	send_frame(memory, MAGIC_PAGES, 1, 1, BASE, 512);
	write_all(memory, "x", 1);
	/* so that it is in the middle of these pages when its mappings change */
	sleep(1);
	maps.len = 0;
	put_vma(&maps, 1, BASE, BASE + (1UL << 30));
	put_number(&maps, 50, OBJECT);
	send_body(fd, MAPS, &maps);
	puts("ready");
	fflush(stdout);
	while (write(memory, "x", 1) == 1) {
		beat();
		usleep(500000);
	}
	return 0;
}

static int do_setup(void)
{
	int memory;

	set_up(&memory);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} verbs[] = {
		{ "surplus", do_surplus }, { "flags", do_flags }, { "text", do_text },
		{ "rounds", do_rounds }, { "populated", do_populated }, { "images", do_images },
		{ "trickle", do_trickle }, { "setup", do_setup },
	};

	if (argc < 3)
		errx(2, "usage: hostile WHERE VERB");
	where = argv[1];
	from = getenv("FROM");
	if (!strcmp(argv[2], "same")) {
		greeted();
		stay();
	}
	new_id();
	if (!strcmp(argv[2], "greet"))
		return greeted() < 0;
	if (!strcmp(argv[2], "bare"))
		return connect_as(CONTROL) < 0;
	if (!strcmp(argv[2], "idle") && argc == 4 && atoi(argv[3]) <= MAX_CONTROLS)
		return do_idle(atoi(argv[3]));
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(argv[2], verbs[i].name))
			return verbs[i].run();
	errx(2, "there is no \"%s\"", argv[2]);
}
