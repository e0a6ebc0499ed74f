// SPDX-License-Identifier: GPL-2.0
/* Callers of serve by address, and the removal of serve's UNIX socket. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "dest/door.h"

static const struct tls_keys plain;

static const char *host_of(int family, const char *text)
{
	struct sockaddr_storage addr = { .ss_family = family };
	static char hosts[2][64];
	static int at;
	char *host = hosts[at++ % 2];

	if (family == AF_INET)
		assert_int_equal(inet_pton(family, text, &((struct sockaddr_in *)&addr)->sin_addr), 1);
	if (family == AF_INET6)
		assert_int_equal(inet_pton(family, text, &((struct sockaddr_in6 *)&addr)->sin6_addr), 1);
	door_host(&addr, host, sizeof(hosts[0]));
	return host;
}

/* One customer has 2^64 addresses. */
static void a_network_of_ipv6_is_one_host(void **state)
{
	assert_string_equal(host_of(AF_INET6, "2001:db8:1:2::1"),
			    host_of(AF_INET6, "2001:db8:1:2:ffff::9"));
	assert_string_not_equal(host_of(AF_INET6, "2001:db8:1:2::1"),
				host_of(AF_INET6, "2001:db8:1:3::1"));
	assert_string_equal(host_of(AF_INET6, "2001:db8:1:2::1"), "2001:db8:1:2::/64");
}

/* They have these 64 bits in common with all others of their link. */
static void neighbours_of_a_link_are_two_hosts(void **state)
{
	assert_string_not_equal(host_of(AF_INET6, "fe80::1"), host_of(AF_INET6, "fe80::2"));
	assert_string_equal(host_of(AF_INET6, "fe80::1"), host_of(AF_INET6, "fe80::1"));
}

static void a_mapped_address_is_ipv4(void **state)
{
	assert_string_equal(host_of(AF_INET6, "::ffff:10.0.0.1"), "10.0.0.1");
	assert_string_equal(host_of(AF_INET, "10.0.0.1"), "10.0.0.1");
	assert_string_not_equal(host_of(AF_INET6, "::ffff:10.0.0.1"),
				host_of(AF_INET6, "::ffff:10.0.0.2"));
}

static void unix_callers_have_no_host(void **state)
{
	assert_string_equal(host_of(AF_UNIX, ""), "");
}

static void its_own_socket_is_removed(void **state)
{
	char dir[] = "/run/test-door-XXXXXX", where[64];
	struct error err = { 0 };
	struct door door;

	assert_non_null(mkdtemp(dir));
	snprintf(where, sizeof(where), "unix:%s/sock", dir);
	assert_int_equal(door_open(&door, where, &plain, &err), 0);
	assert_int_equal(access(door.path, F_OK), 0);
	door_close(&door);
	assert_int_equal(access(door.path, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);
}

/* The path was removed by hand, and another serve listens there now. */
static void the_socket_of_another_stays(void **state)
{
	char dir[] = "/run/test-door-XXXXXX", where[64];
	struct door first, second;
	struct error err = { 0 };

	assert_non_null(mkdtemp(dir));
	snprintf(where, sizeof(where), "unix:%s/sock", dir);
	assert_int_equal(door_open(&first, where, &plain, &err), 0);
	assert_int_equal(unlink(first.path), 0);
	assert_int_equal(door_open(&second, where, &plain, &err), 0);
	door_close(&first);
	assert_int_equal(access(second.path, F_OK), 0);
	door_close(&second);
	assert_int_equal(access(second.path, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);
}

static int call(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (void *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Return: how many times the door was polled in @ms */
static int step_for(struct door *door, int ms)
{
	struct pollfd fds[1 + DOOR_CALLERS];
	int64_t until = clock_now_ms() + ms;
	int steps = 0;

	for (; clock_now_ms() < until; steps++) {
		door_poll(door, fds);
		if (poll(fds, 1 + DOOR_CALLERS, 50) > 0)
			door_step(door, fds);
	}
	return steps;
}

/* And hears of it although it goes on to speak. */
static void another_version_is_told(void **state)
{
	struct conn_preamble pre = { .magic = htole32(CONN_MAGIC), .version = htole16(200), .kind = CONN_CONTROL };
	char dir[] = "/run/test-door-XXXXXX", where[64], got[512] = "";
	struct error err = { 0 };
	struct door door;
	ssize_t n;
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(where, sizeof(where), "unix:%s/sock", dir);
	assert_int_equal(door_open(&door, where, &plain, &err), 0);
	fd = call(door.path);
	assert_int_equal(write(fd, &pre, sizeof(pre)), sizeof(pre));
	assert_int_equal(write(fd, got, 300), 300);
	step_for(&door, 300);
	assert_int_equal(write(fd, got, 300), 300);
	step_for(&door, 300);
	assert_int_equal(door.strangers, 1);
	n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	assert_true(n > 4);
	assert_non_null(memmem(got, n, "version 200 of the protocol, this is version 1", 46));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	step_for(&door, 100);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 0);
	assert_int_equal(door_nr_callers(&door), 0);
	assert_int_equal(door.strangers, 1);
	close(fd);
	door_close(&door);
	assert_int_equal(rmdir(dir), 0);
}

/* The caller stays in the queue of the socket, and poll() would return at once for ever. */
static void no_descriptor_for_a_caller(void **state)
{
	char dir[] = "/run/test-door-XXXXXX", where[64];
	struct error err = { 0 };
	struct rlimit limit, few;
	struct door door;
	int fd, last;

	assert_non_null(mkdtemp(dir));
	snprintf(where, sizeof(where), "unix:%s/sock", dir);
	assert_int_equal(door_open(&door, where, &plain, &err), 0);
	fd = call(door.path);
	getrlimit(RLIMIT_NOFILE, &limit);
	few = limit;
	/* poll() takes no longer list than this */
	few.rlim_cur = 1 + DOOR_CALLERS;
	setrlimit(RLIMIT_NOFILE, &few);
	while ((last = dup(fd)) >= 0)
		;
	assert_in_range(step_for(&door, 500), 1, 20);
	assert_int_equal(door_callers_of(&door, ""), 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	close_range(fd + 1, DOOR_CALLERS, 0);
	step_for(&door, 2 * LISTENER_REST_MS);
	assert_int_equal(door_callers_of(&door, ""), 1);
	close(fd);
	door_close(&door);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_of_ipv6_is_one_host),
		cmocka_unit_test(a_mapped_address_is_ipv4), cmocka_unit_test(neighbours_of_a_link_are_two_hosts),
		cmocka_unit_test(unix_callers_have_no_host),
		cmocka_unit_test(its_own_socket_is_removed),
		cmocka_unit_test(the_socket_of_another_stays),
		cmocka_unit_test(another_version_is_told),
		cmocka_unit_test(no_descriptor_for_a_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
