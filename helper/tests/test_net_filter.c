// SPDX-License-Identifier: GPL-2.0
/* Addresses of this machine, and the filter that keeps them from being reached. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/net_announce.h"
#include "os/net_filter.h"
#include "tests/own_network.h"

#define NAME	"migrate-helper-test"
#define WAIT_US	300000

static struct net_addresses own(void)
{
	struct net_address address = address_of(OWN_ADDRESS);
	struct net_addresses all = { .nr = 0 };

	assert_int_equal(net_addresses_add(&all, &address), 0);
	return all;
}

/* @mark: 0: none */
static bool is_reached(int type, const char *text, int port, int mark)
{
	int there = socket(AF_INET, type, 0), fd = socket(AF_INET, type, 0);
	const struct timeval limit = { .tv_usec = WAIT_US };
	struct sockaddr_in name = name_of(text, port);
	char byte = 0;
	bool reached;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(there, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (mark)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	assert_int_equal(bind(there, (void *)&name, sizeof(name)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(there, 1), 0);
	reached = !connect(fd, (void *)&name, sizeof(name));
	if (type == SOCK_DGRAM)
		reached = send(fd, &byte, 1, 0) == 1 && recv(there, &byte, 1, 0) == 1;
	close(fd);
	close(there);
	return reached;
}

static void tcp_is_dropped(void **state)
{
	const struct net_addresses all = own();
	struct error err = { 0 };

	assert_true(is_reached(SOCK_STREAM, OWN_ADDRESS, 4001, 0));
	assert_int_equal(net_filter_set(NAME, &all, NET_FILTER_TCP, &err), 0);
	assert_false(is_reached(SOCK_STREAM, OWN_ADDRESS, 4002, 0));
	assert_true(is_reached(SOCK_DGRAM, OWN_ADDRESS, 4003, 0));
	assert_true(is_reached(SOCK_STREAM, "127.0.0.1", 4004, 0));
	assert_int_equal(net_filter_clear(NAME, &err), 0);
	assert_true(is_reached(SOCK_STREAM, OWN_ADDRESS, 4005, 0));
}

static void all_is_dropped(void **state)
{
	const struct net_addresses all = own();
	struct error err = { 0 };

	assert_int_equal(net_filter_set(NAME, &all, NET_FILTER_TCP, &err), 0);
	assert_int_equal(net_filter_set(NAME, &all, NET_FILTER_ALL, &err), 0);
	assert_false(is_reached(SOCK_DGRAM, OWN_ADDRESS, 4011, 0));
	assert_false(is_reached(SOCK_STREAM, OWN_ADDRESS, 4012, 0));
	assert_true(is_reached(SOCK_DGRAM, "127.0.0.1", 4013, 0));
	/* CRIU's own packets, by which it restores a connection that is half closed */
	assert_true(is_reached(SOCK_DGRAM, OWN_ADDRESS, 4014, 0xc114));
	assert_int_equal(net_filter_clear(NAME, &err), 0);
	assert_true(is_reached(SOCK_DGRAM, OWN_ADDRESS, 4015, 0));
}

static void without_a_filter_nothing_is_cleared(void **state)
{
	struct error err = { 0 };

	assert_int_equal(net_filter_clear(NAME, &err), 0);
	assert_int_equal(net_filter_clear_table("inet CRIU-1", &err), 0);
}

static void a_filter_may_have_many_addresses(void **state)
{
	struct net_addresses all = { .nr = 0 };
	struct net_address address = address_of("fd00:1111:2222:3333:4444:5555:6666:0");
	struct error err = { 0 };

	for (size_t i = 0; i < NET_ADDRESSES_MAX; i++, address.bytes[15]++)
		assert_int_equal(net_addresses_add(&all, &address), 0);
	assert_int_equal(net_addresses_add(&all, &address), -1);
	assert_int_equal(net_filter_set(NAME, &all, NET_FILTER_ALL, &err), 0);
	assert_int_equal(net_filter_clear(NAME, &err), 0);
}

static void addresses_come_and_go(void **state)
{
	const char *const texts[] = { "10.9.9.8", "fd00::9:8" };

	for (size_t i = 0; i < 2; i++) {
		struct net_address address = address_of(texts[i]);
		struct error err = { 0 };

		assert_false(net_address_is_here(&address));
		assert_int_equal(net_address_add(&address, "lo", &err), 0);
		assert_true(net_address_is_here(&address));
		assert_int_equal(net_address_add(&address, "lo", &err), -1);
		assert_int_equal(net_address_remove(&address, &err), 0);
		assert_false(net_address_is_here(&address));
		assert_int_equal(net_address_remove(&address, &err), 0);
		assert_int_equal(net_address_add(&address, "none", &err), -1);
	}
}

static void an_ipv4_address_is_one_in_ipv6_too(void **state)
{
	struct sockaddr_storage name = { 0 };
	struct sockaddr_in6 *v6 = (void *)&name;
	struct net_address address, same = address_of(OWN_ADDRESS);

	v6->sin6_family = AF_INET6;
	inet_pton(AF_INET6, "::ffff:" OWN_ADDRESS, &v6->sin6_addr);
	assert_true(net_address_of(&name, &address));
	assert_true(net_address_equals(&address, &same));
	name.ss_family = AF_UNIX;
	assert_false(net_address_of(&name, &address));
	assert_false(net_address_make("12345", 5, &address));
}

static void loopback_has_no_neighbours(void **state)
{
	const struct net_addresses all = own();

	assert_int_equal(net_announce(&all), 0);
}

static void to_child(int fd, char byte)
{
	assert_int_equal(write(fd, &byte, 1), 1);
}

/* In a network namespace of a child's own both ends of a connection, as in one that CRIU restores. */
static void a_namespace_is_held_and_let_go(void **state)
{
	int ask[2], answer[2];
	struct error err = { 0 };
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ask), 0);
	assert_int_equal(pipe(answer), 0);
	pid = fork();
	if (!pid) {
		close(ask[1]);
		if (own_network(NULL))
			_exit(1);
		while (read(ask[0], &byte, 1) == 1) {
			byte = is_reached(SOCK_STREAM, OWN_ADDRESS, 7010, 0);
			if (write(answer[1], &byte, 1) != 1)
				break;
		}
		_exit(0);
	}
	close(ask[0]);
	close(answer[1]);
	to_child(ask[1], 0);
	assert_int_equal(read(answer[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	assert_int_equal(net_filter_hold_in(pid, NAME, &err), 0);
	to_child(ask[1], 0);
	assert_int_equal(read(answer[0], &byte, 1), 1);
	assert_int_equal(byte, 0);
	/* here nothing is held */
	assert_true(is_reached(SOCK_STREAM, OWN_ADDRESS, 7011, 0));
	assert_int_equal(net_filter_let_go_in(pid, NAME, &err), 0);
	to_child(ask[1], 0);
	assert_int_equal(read(answer[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	close(ask[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(answer[0]);
	assert_int_equal(net_filter_hold_in(0x7ffffff0, NAME, &err), -1);
	assert_int_equal(err.code, CODE_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_is_dropped),
		cmocka_unit_test(all_is_dropped),
		cmocka_unit_test(without_a_filter_nothing_is_cleared),
		cmocka_unit_test(a_filter_may_have_many_addresses),
		cmocka_unit_test(addresses_come_and_go),
		cmocka_unit_test(an_ipv4_address_is_one_in_ipv6_too),
		cmocka_unit_test(loopback_has_no_neighbours),
		cmocka_unit_test(a_namespace_is_held_and_let_go),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
