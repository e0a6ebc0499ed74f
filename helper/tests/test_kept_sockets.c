// SPDX-License-Identifier: GPL-2.0
/* --tcp keep: which addresses move, which connections cannot, and how CRIU's work on sockets is undone. */
#define _GNU_SOURCE
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "os/net_filter.h"
#include "os/proc_files.h"
#include "source/connections.h"
#include "source/kept_sockets.h"
#include "tests/own_network.h"
#include "tests/silent_fs.h"

/* A program that has the descriptors of this process. */
static pid_t start(struct tree *tree)
{
	struct error err = { 0 };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		alarm(60);
		for (;;)
			pause();
	}
	assert_non_null(tree_add(tree, pid, &err));
	return pid;
}

static void end(struct tree *tree, pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	tree_destroy(tree);
}

static int find(struct net_addresses *all, struct error *err)
{
	struct tree tree = { 0 };
	pid_t pid = start(&tree);
	int ret = kept_sockets_find(&tree, all, err);

	end(&tree, pid);
	return ret;
}

static void both_ends_move(void **state)
{
	int listener = listen_at("0.0.0.0", 5001), one = dial(OWN_ADDRESS, 5001);
	struct net_address address = address_of(OWN_ADDRESS);
	int other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct net_addresses all = { .nr = 0 };
	struct error err = { 0 };

	assert_int_equal(find(&all, &err), 0);
	assert_int_equal(all.nr, 1);
	assert_true(net_addresses_have(&all, &address));
	close(other);
	close(one);
	close(listener);
}

/* The peer stays here, and its address goes. */
static void a_peer_stays(void **state)
{
	int listener = listen_at("0.0.0.0", 5002), one = dial(OWN_ADDRESS, 5002);
	struct net_addresses all = { .nr = 0 };
	struct error err = { 0 };

	assert_int_equal(find(&all, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, "another program"));
	close(one);
	close(listener);
}

static void loopback_does_not_move(void **state)
{
	int listener = listen_at("127.0.0.1", 5003), one = dial("127.0.0.1", 5003);
	struct net_addresses all = { .nr = 0 };
	struct error err = { 0 };

	assert_int_equal(find(&all, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, "loopback"));
	close(one);
	close(listener);
}

static void a_listener_has_an_address(void **state)
{
	int listener = listen_at(OWN_ADDRESS, 5004), local = listen_at("127.0.0.1", 5004);
	struct net_addresses all = { .nr = 0 };
	struct error err = { 0 };

	assert_int_equal(find(&all, &err), 0);
	assert_int_equal(all.nr, 1);
	close(local);
	close(listener);
}

static void an_address_came_since(void **state)
{
	int listener = listen_at("0.0.0.0", 5005), one, other;
	struct net_addresses all = { .nr = 0 };
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid;

	assert_int_equal(find(&all, &err), 0);
	assert_int_equal(all.nr, 0);
	one = dial(OWN_ADDRESS, 5005);
	other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	pid = start(&tree);
	assert_int_equal(kept_sockets_check(&tree, &all, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	err = (struct error){ 0 };
	assert_int_equal(kept_sockets_find(&tree, &all, &err), 0);
	assert_int_equal(kept_sockets_check(&tree, &all, &err), 0);
	end(&tree, pid);
	close(other);
	close(one);
	close(listener);
}

static int get(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

/* As after CRIU's dump: in repair mode, behind the filter. */
static void a_connection_goes_on(void **state)
{
	int listener = listen_at("0.0.0.0", 5006), one = dial(OWN_ADDRESS, 5006), on = 1;
	int other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct connections connections;
	struct guard guard = { .pidfd = -1 };
	struct tree tree = { 0 };
	struct error err = { 0 };
	char byte = 'x';

	connections_plan(&connections, "test");
	guard.pid = start(&tree);
	assert_int_equal(kept_sockets_find(&tree, &connections.addresses, &err), 0);
	assert_int_equal(connections_lock(&connections, NET_FILTER_TCP, &err), 0);
	assert_int_equal(setsockopt(one, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	assert_int_equal(connections_resume(&connections, &guard, &err), 0);
	assert_int_equal(get(one, IPPROTO_TCP, TCP_REPAIR), 0);
	assert_int_equal(get(one, SOL_SOCKET, SO_REUSEADDR), 1);
	assert_int_equal(write(one, &byte, 1), 1);
	assert_int_equal(read(other, &byte, 1), 1);
	end(&tree, guard.pid);
	close(other);
	close(one);
	close(listener);
}

/* The keeper lets a program go on although a look at one of its files would never return. */
static void a_file_that_does_not_answer(void **state)
{
	struct guard guard = { .pidfd = -1 };
	struct connections connections;
	struct tree tree = { 0 };
	struct error err = { 0 };
	struct silent_fs fs;
	int fd;

	if (!silent_fs_mount(&fs)) {
		silent_fs_end(&fs);
		skip();
	}
	fd = open(fs.dir, O_PATH | O_CLOEXEC);
	assert_true(fd >= 0);
	connections_plan(&connections, "test");
	connections.inside = true;
	guard.pid = start(&tree);
	alarm(10);
	assert_int_equal(connections_resume(&connections, &guard, &err), 0);
	alarm(0);
	end(&tree, guard.pid);
	close(fd);
	silent_fs_end(&fs);
}

/* The address goes first: as long as it is here the filter hides it. */
static void an_address_leaves(void **state)
{
	struct net_address address = address_of("10.9.9.7");
	const struct guard guard = { .pid = 1 };
	struct connections connections;
	struct error err = { 0 };

	connections_plan(&connections, "test");
	assert_int_equal(net_address_add(&address, "lo", &err), 0);
	assert_int_equal(net_addresses_add(&connections.addresses, &address), 0);
	assert_int_equal(connections_leave(&connections, &guard, &err), 0);
	assert_true(net_address_is_here(&address));
	assert_int_equal(connections_lock(&connections, NET_FILTER_ALL, &err), 0);
	assert_int_equal(connections_leave(&connections, &guard, &err), 0);
	assert_false(net_address_is_here(&address));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_move),
		cmocka_unit_test(a_peer_stays),
		cmocka_unit_test(loopback_does_not_move),
		cmocka_unit_test(a_listener_has_an_address),
		cmocka_unit_test(an_address_came_since),
		cmocka_unit_test(a_connection_goes_on),
		cmocka_unit_test(an_address_leaves),
		cmocka_unit_test(a_file_that_does_not_answer),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
