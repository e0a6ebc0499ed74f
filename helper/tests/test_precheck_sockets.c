// SPDX-License-Identifier: GPL-2.0
/* The unix servers and addresses that Setup names. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/setup_bench.h"

static int bound(const char *name, int type, bool abstract)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", name);
	if (abstract)
		addr.sun_path[0] = 0;
	else
		unlink(name);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr,
			      offsetof(struct sockaddr_un, sun_path) + strlen(name)), 0);
	return fd;
}

static void name_server(struct bench *bench, Migrate__UnixServer *server, char *name, int type)
{
	static Migrate__UnixServer *list[1];

	migrate__unix_server__init(server);
	server->name = name;
	server->type = type;
	server->fd = 5;
	list[0] = server;
	bench->setup.unix_servers = list;
	bench->setup.n_unix_servers = 1;
}

/* A user's link to a server that root alone may ask something. Needs root. */
static void links_to_servers(void **state)
{
	struct bench *bench = *state;
	Migrate__UnixServer server;
	char name[64], link[64];
	int fd;

	snprintf(name, sizeof(name), "/tmp/test-precheck-%d", getpid());
	snprintf(link, sizeof(link), "/tmp/test-precheck-%d.link", getpid());
	fd = bound(name, SOCK_DGRAM, false);
	name_server(bench, &server, link, SOCK_DGRAM);
	assert_int_equal(symlink(name, link), 0);
	assert_int_equal(refusals(bench), 0);
	assert_int_equal(lchown(link, 4711, 4711), 0);
	assert_int_equal(refusals(bench), 1);
	assert_non_null(strstr(bench->refusals.text[0], "symbolic link"));
	close(fd);
	unlink(name);
	unlink(link);
}

/* Found without a connection: the server may be one that only root may ask something. */
static void servers(void **state)
{
	struct bench *bench = *state;
	Migrate__UnixServer server;
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/tmp/test-precheck-%d", getpid());
	name_server(bench, &server, name, SOCK_STREAM);
	fd = bound(name, SOCK_STREAM, false);
	/* a file that is left of a server that is gone */
	assert_int_equal(refusals(bench), 1);
	assert_non_null(strstr(bench->refusals.text[0], name));
	precheck_free(&bench->refusals);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(refusals(bench), 0);
	assert_int_equal(accept(fd, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	server.type = SOCK_DGRAM;
	assert_int_equal(refusals(bench), 1);
	precheck_free(&bench->refusals);
	close(fd);
	fd = bound(name, SOCK_DGRAM, false);
	assert_int_equal(refusals(bench), 0);
	close(fd);
	assert_int_equal(refusals(bench), 1);
	unlink(name);
}

static void abstract_servers(void **state)
{
	struct bench *bench = *state;
	Migrate__UnixServer server;
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "@test-precheck-%d", getpid());
	name_server(bench, &server, name, SOCK_STREAM);
	assert_int_equal(refusals(bench), 1);
	precheck_free(&bench->refusals);
	fd = bound(name, SOCK_STREAM, true);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(refusals(bench), 0);
	assert_int_equal(accept(fd, NULL, NULL), -1);
	/* what is no name at all */
	server.name = "";
	assert_int_equal(refusals(bench), 1);
	precheck_free(&bench->refusals);
	server.name = "relative";
	assert_int_equal(refusals(bench), 1);
	precheck_free(&bench->refusals);
	server.name = "/dev/null";
	assert_int_equal(refusals(bench), 1);
	close(fd);
}

static void addresses(void **state)
{
	static uint8_t here[] = { 127, 0, 0, 1 }, elsewhere[] = { 192, 0, 2, 77 };
	Migrate__InetAddress address = MIGRATE__INET_ADDRESS__INIT, *list[] = { &address };
	struct sockaddr_in name = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t len = sizeof(name);
	struct bench *bench = *state;

	/* one that would let others in */
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	address.stream = true;
	address.port = ntohs(name.sin_port);
	address.address.data = here;
	address.address.len = 4;
	bench->setup.addresses = list;
	bench->setup.n_addresses = 1;
	assert_int_equal(refusals(bench), 1);
	assert_non_null(strstr(bench->refusals.text[0], "another program has that port"));
	precheck_free(&bench->refusals);
	close(fd);
	assert_int_equal(refusals(bench), 0);
	address.address.data = elsewhere;
	assert_int_equal(refusals(bench), 1);
	assert_non_null(strstr(bench->refusals.text[0], "192.0.2.77"));
	precheck_free(&bench->refusals);
	address.address.len = 5;
	assert_int_equal(refusals(bench), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(links_to_servers), BENCH_TEST(servers), BENCH_TEST(abstract_servers),
		BENCH_TEST(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
