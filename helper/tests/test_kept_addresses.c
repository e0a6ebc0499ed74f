// SPDX-License-Identifier: GPL-2.0
/* Addresses that move here with a program. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "dest/kept_addresses.h"
#include "os/inet_orphans.h"
#include "tests/own_network.h"

#define NEW_ADDRESS	"10.9.9.10"

/* Return: how many refusals there are when Setup names @text; NULL: @bytes of nothing */
static size_t take_by(struct kept_addresses *kept, const char *text, size_t bytes,
		      const struct address_terms *terms, int control_fd)
{
	struct net_address address = { .len = bytes };
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct refusals refusals = { .nr = 0 };
	ProtobufCBinaryData said;
	size_t nr;

	if (text)
		address = address_of(text);
	said = (ProtobufCBinaryData){ .len = address.len, .data = address.bytes };
	setup.kept_addresses = &said;
	setup.n_kept_addresses = 1;
	setup.has_keeps_tcp = setup.keeps_tcp = true;
	kept_addresses_take(kept, &setup, terms, control_fd, &refusals);
	nr = refusals.nr;
	precheck_free(&refusals);
	return nr;
}

static size_t take(struct kept_addresses *kept, const char *text, size_t bytes,
		   const char *interface, int control_fd)
{
	const struct address_terms terms = { .interface = interface };

	return take_by(kept, text, bytes, &terms, control_fd);
}

static void an_interface_must_be_named(void **state)
{
	struct kept_addresses kept;

	assert_int_equal(take(&kept, OWN_ADDRESS, 0, NULL, -1), 1);
	assert_int_equal(take(&kept, NEW_ADDRESS, 0, NULL, -1), 1);
	assert_int_equal(take(&kept, NEW_ADDRESS, 0, "lo", -1), 0);
}

static void some_addresses_are_allowed(void **state)
{
	struct address_terms terms = { .interface = "lo" };
	struct kept_addresses kept;

	assert_int_equal(net_ranges_parse(&terms.ranges, "10.9.9.8/30,fd02::/16"), 0);
	assert_int_equal(take_by(&kept, "10.9.9.8", 0, &terms, -1), 0);
	assert_int_equal(take_by(&kept, "10.9.9.11", 0, &terms, -1), 0);
	assert_int_equal(take_by(&kept, "10.9.9.12", 0, &terms, -1), 1);
	assert_int_equal(take_by(&kept, "10.9.9.7", 0, &terms, -1), 1);
	assert_int_equal(take_by(&kept, "fd02:1::1", 0, &terms, -1), 0);
	assert_int_equal(take_by(&kept, "fd03::1", 0, &terms, -1), 1);
	assert_int_equal(net_ranges_parse(&terms.ranges, "10.9.9.1"), 0);
	assert_int_equal(take_by(&kept, "10.9.9.1", 0, &terms, -1), 0);
	assert_int_equal(take_by(&kept, "10.9.9.0", 0, &terms, -1), 1);
}

static void wrong_ranges(void **state)
{
	static const char *const texts[] = {
		"", ",", "10.9.9.1,", "10.9.9", "10.9.9.1/33", "10.9.9.1/", "10.9.9.1/-1", "10.9.9.1/x",
		"fd02::/129", "eth0", "10.9.9.1/8/8",
	};
	struct net_ranges ranges;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(net_ranges_parse(&ranges, texts[i]), -1);
	assert_int_equal(net_ranges_parse(&ranges, "0.0.0.0/0,::/0"), 0);
	assert_int_equal(ranges.nr, 2);
}

static void a_wrong_list_is_refused(void **state)
{
	struct kept_addresses kept;

	assert_int_equal(take(&kept, NULL, 5, "lo", -1), 1);
	assert_int_equal(take(&kept, NULL, 0, "lo", -1), 1);
	assert_int_equal(take(&kept, "0.0.0.0", 0, "lo", -1), 1);
	assert_int_equal(take(&kept, "127.0.0.2", 0, "lo", -1), 1);
	assert_int_equal(take(&kept, "::1", 0, "lo", -1), 1);
}

static void a_migration_needs_its_own_address(void **state)
{
	int listener = listen_at(OWN_ADDRESS, 6001), fd = dial(OWN_ADDRESS, 6001);
	struct kept_addresses kept;

	assert_int_equal(take(&kept, OWN_ADDRESS, 0, "lo", fd), 1);
	close(fd);
	close(listener);
}

static bool is_reached(const char *text, int port)
{
	const struct timeval limit = { .tv_usec = 300000 };
	struct sockaddr_in name = name_of(text, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool reached;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	reached = !connect(fd, (void *)&name, sizeof(name));
	close(fd);
	return reached;
}

static void it_is_reached_when_it_is_opened(void **state)
{
	const struct net_address address = address_of(NEW_ADDRESS);
	int listener = listen_at("0.0.0.0", 6002);
	struct kept_addresses kept;
	struct error err = { 0 };

	assert_int_equal(take(&kept, NEW_ADDRESS, 0, "lo", -1), 0);
	assert_int_equal(kept_addresses_plan(&kept, "test", &err), 0);
	assert_int_equal(kept_addresses_close(&kept, &err), 0);
	assert_true(net_address_is_here(&address));
	assert_false(is_reached(NEW_ADDRESS, 6002));
	kept_addresses_open(&kept);
	assert_true(is_reached(NEW_ADDRESS, 6002));
	close(listener);
	assert_int_equal(net_address_remove(&address, &err), 0);
	kept_addresses_unlock(&kept);
}

/* The other one would take the address away when it is given up. */
static void two_bring_it_one_after_the_other(void **state)
{
	struct kept_addresses one, two;
	struct error err = { 0 };

	assert_int_equal(take(&one, NEW_ADDRESS, 0, "lo", -1), 0);
	assert_int_equal(take(&two, NEW_ADDRESS, 0, "lo", -1), 0);
	assert_int_equal(kept_addresses_plan(&one, "one", &err), 0);
	assert_int_equal(kept_addresses_plan(&two, "two", &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	kept_addresses_unlock(&one);
	memset(&err, 0, sizeof(err));
	assert_int_equal(kept_addresses_plan(&two, "two", &err), 0);
	kept_addresses_unlock(&two);
}

static void some_are_nobodys(void **state)
{
	static const char *const wrong[] = { "224.0.0.18", "255.255.255.255", "169.254.169.254", "0.1.2.3" };
	struct kept_addresses kept;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(take(&kept, wrong[i], 0, "lo", -1), 1);
}

/* One that was here before stays, and can be reached again. */
static void only_a_new_one_goes(void **state)
{
	const struct net_address new = address_of(NEW_ADDRESS), old = address_of(OWN_ADDRESS);
	int listener = listen_at("0.0.0.0", 6003);
	struct kept_addresses kept;
	struct error err = { 0 };

	assert_int_equal(take(&kept, NEW_ADDRESS, 0, "lo", -1), 0);
	assert_int_equal(net_addresses_add(&kept.list, &old), 0);
	assert_int_equal(kept_addresses_plan(&kept, "test", &err), 0);
	assert_int_equal(kept_addresses_close(&kept, &err), 0);
	assert_false(is_reached(OWN_ADDRESS, 6003));
	kept_addresses_forget(&kept, true);
	assert_false(net_address_is_here(&new));
	assert_true(is_reached(OWN_ADDRESS, 6003));
	kept_addresses_unlock(&kept);
	close(listener);
}

/* A process that waits for a disk, say: what it has open would be reached, and would answer, at the source's address. */
static void nothing_is_opened_for_one_that_does_not_die(void **state)
{
	const struct net_address new = address_of(NEW_ADDRESS);
	int listener = listen_at("0.0.0.0", 6005);
	struct kept_addresses kept;
	struct error err = { 0 };

	assert_int_equal(take(&kept, NEW_ADDRESS, 0, "lo", -1), 0);
	assert_int_equal(kept_addresses_plan(&kept, "test", &err), 0);
	assert_int_equal(kept_addresses_close(&kept, &err), 0);
	kept_addresses_forget(&kept, false);
	assert_true(net_address_is_here(&new));
	assert_false(is_reached(NEW_ADDRESS, 6005));
	kept_addresses_forget(&kept, true);
	assert_false(net_address_is_here(&new));
	kept_addresses_unlock(&kept);
	close(listener);
}

/* It would send its end when the filter is gone, to a peer that talks to the program at the source. */
static void what_a_killed_program_had_open_is_ended(void **state)
{
	struct kept_addresses kept;
	int listener, peer, own;
	struct inet_orphans all;
	struct error err = { 0 };

	assert_int_equal(take(&kept, OWN_ADDRESS, 0, "lo", -1), 0);
	assert_int_equal(kept_addresses_plan(&kept, "test", &err), 0);
	listener = listen_at(OWN_ADDRESS, 6004);
	peer = dial(OWN_ADDRESS, 6004);
	own = accept(listener, NULL, NULL);
	assert_int_equal(kept_addresses_close(&kept, &err), 0);
	close(own);
	assert_int_equal(inet_orphans_read(&kept.list, &all, &err), 0);
	assert_int_equal(all.nr, 1);
	inet_orphans_free(&all);
	kept_addresses_forget(&kept, true);
	assert_int_equal(inet_orphans_read(&kept.list, &all, &err), 0);
	assert_int_equal(all.nr, 0);
	usleep(500000);
	assert_int_equal(recv(peer, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	kept_addresses_unlock(&kept);
	close(listener);
	close(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interface_must_be_named),
		cmocka_unit_test(some_addresses_are_allowed),
		cmocka_unit_test(wrong_ranges),
		cmocka_unit_test(a_wrong_list_is_refused),
		cmocka_unit_test(a_migration_needs_its_own_address),
		cmocka_unit_test(it_is_reached_when_it_is_opened),
		cmocka_unit_test(only_a_new_one_goes),
		cmocka_unit_test(nothing_is_opened_for_one_that_does_not_die),
		cmocka_unit_test(what_a_killed_program_had_open_is_ended),
		cmocka_unit_test(two_bring_it_one_after_the_other),
		cmocka_unit_test(some_are_nobodys),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
