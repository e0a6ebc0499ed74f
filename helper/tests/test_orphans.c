// SPDX-License-Identifier: GPL-2.0
/* What a program sent on a connection that it has closed, and its peer has not read. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "base/clock.h"
#include "os/inet_orphans.h"
#include "source/orphans.h"
#include "tests/own_network.h"

#define OTHER_ADDRESS	"10.9.9.7"
#define MS		1000000UL

/* A connection whose one end, @peer, has not read what the other one was sent until nothing more went in. */
struct pair {
	int listener, peer, own;
};

static void pair_open(struct pair *pair, int port)
{
	static const char data[4096];

	pair->listener = listen_at(OWN_ADDRESS, port);
	pair->peer = dial(OWN_ADDRESS, port);
	pair->own = accept4(pair->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair->own >= 0);
	while (send(pair->own, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
}

static void pair_close(struct pair *pair)
{
	/* with unread data it is reset, and nothing is left */
	close(pair->peer);
	close(pair->listener);
}

static struct net_addresses addresses_of(const char *text)
{
	return (struct net_addresses){ .items = { address_of(text) }, .nr = 1 };
}

static size_t count(const char *text)
{
	struct net_addresses addresses = addresses_of(text);
	struct inet_orphans all;
	struct error err = { 0 };
	size_t nr;

	assert_int_equal(inet_orphans_read(&addresses, &all, &err), 0);
	nr = all.nr;
	inet_orphans_free(&all);
	return nr;
}

static void a_closed_one_is_found(void **state)
{
	struct net_addresses addresses = addresses_of(OWN_ADDRESS);
	struct sockaddr_in name;
	socklen_t len = sizeof(name);
	struct inet_orphans all;
	struct error err = { 0 };
	struct pair pair;

	pair_open(&pair, 5001);
	assert_int_equal(getsockname(pair.peer, (void *)&name, &len), 0);
	/* it has its end sent, but a descriptor leads to it */
	assert_int_equal(shutdown(pair.own, SHUT_WR), 0);
	assert_int_equal(count(OWN_ADDRESS), 0);
	close(pair.own);
	assert_int_equal(count(OTHER_ADDRESS), 0);
	assert_int_equal(inet_orphans_read(&addresses, &all, &err), 0);
	assert_int_equal(all.nr, 1);
	assert_true(all.items[0].bytes > 4096);
	assert_int_equal(all.items[0].port, ntohs(name.sin_port));
	assert_true(net_address_equals(&all.items[0].peer, &addresses.items[0]));
	assert_true(inet_orphans_have(&all, all.items[0].cookie));
	assert_false(inet_orphans_have(&all, all.items[0].cookie + 1));
	inet_orphans_free(&all);
	pair_close(&pair);
	assert_int_equal(count(OWN_ADDRESS), 0);
}

static void it_is_ended(void **state)
{
	struct net_addresses own = addresses_of(OWN_ADDRESS), other = addresses_of(OTHER_ADDRESS);
	struct error err = { 0 };
	struct pair pair, held;

	assert_true(inet_orphans_can_end());
	pair_open(&pair, 5009);
	pair_open(&held, 5010);
	close(pair.own);
	assert_int_equal(inet_orphans_end(&other, &err), 0);
	assert_int_equal(count(OWN_ADDRESS), 1);
	assert_int_equal(inet_orphans_end(&own, &err), 0);
	assert_int_equal(count(OWN_ADDRESS), 0);
	/* that of a program goes on */
	assert_int_equal(send(held.peer, "x", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(held.own, &(char){ 0 }, 1, 0), 1);
	assert_int_equal(inet_orphans_end(&own, &err), 0);
	close(held.own);
	pair_close(&held);
	pair_close(&pair);
}

static void it_is_named(void **state)
{
	struct net_addresses addresses = addresses_of(OWN_ADDRESS);
	struct losses losses = { .quiet = true };
	struct pair pair;

	pair_open(&pair, 5002);
	orphans_find(&addresses, &losses);
	assert_int_equal(losses.nr, 0);
	close(pair.own);
	orphans_find(&addresses, &losses);
	assert_int_equal(losses.nr, 1);
	assert_int_equal(losses.items[0].loss, LOSS_UNACKNOWLEDGED);
	assert_int_equal(losses.items[0].fate, LOSS_WARNED);
	assert_non_null(strstr(losses.items[0].detail, "1 connection"));
	assert_non_null(strstr(losses.items[0].detail, OWN_ADDRESS));
	losses_free(&losses);
	pair_close(&pair);
}

/* In a network namespace that a child has of its own, which ends with the move. */
static void it_is_named_inside_of_a_namespace(void **state)
{
	struct losses losses = { .quiet = true };
	struct pair pair;
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (own_network(NULL))
			_exit(1);
		pair_open(&pair, 5011);
		close(pair.own);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	orphans_find_in(getpid(), &losses);
	assert_int_equal(losses.nr, 0);
	orphans_find_in(pid, &losses);
	assert_int_equal(losses.nr, 1);
	assert_int_equal(losses.items[0].loss, LOSS_UNACKNOWLEDGED);
	assert_non_null(strstr(losses.items[0].detail, "1 connection"));
	losses_free(&losses);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Return: nothing is left when orphans_drain() returns, although the peer begins to read 150 ms later */
static bool is_drained(int port)
{
	struct net_addresses addresses = addresses_of(OWN_ADDRESS);
	static char data[4096];
	struct pair pair;
	bool drained;
	pid_t pid;

	pair_open(&pair, port);
	close(pair.own);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		usleep(150000);
		while (read(pair.peer, data, sizeof(data)) > 0)
			;
		_exit(0);
	}
	orphans_drain(&addresses);
	drained = !count(OWN_ADDRESS);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	pair_close(&pair);
	return drained;
}

/* A machine that is busy may not let the peer read in time. */
static void its_peer_is_waited_for(void **state)
{
	int tries = 0;

	while (!is_drained(5010 + tries))
		assert_true(++tries < 5);
}

static void not_for_ever(void **state)
{
	struct net_addresses addresses = addresses_of(OWN_ADDRESS);
	struct pair pair;
	uint64_t begin;

	pair_open(&pair, 5004);
	close(pair.own);
	begin = clock_now_ns();
	orphans_drain(&addresses);
	assert_true(clock_now_ns() - begin >= ORPHANS_DRAIN_MS * MS);
	assert_int_equal(count(OWN_ADDRESS), 1);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_closed_one_is_found), cmocka_unit_test(it_is_ended),
		cmocka_unit_test(it_is_named_inside_of_a_namespace),
		cmocka_unit_test(it_is_named),
		cmocka_unit_test(its_peer_is_waited_for),
		cmocka_unit_test(not_for_ever),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
