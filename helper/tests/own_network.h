/* SPDX-License-Identifier: GPL-2.0 */
/* A network namespace of the test's own: loopback alone, with one more address. */
#ifndef MIGRATE_TESTS_OWN_NETWORK_H
#define MIGRATE_TESTS_OWN_NETWORK_H

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "os/net_addresses.h"

#define OWN_ADDRESS	"10.9.9.9"

static inline struct net_address address_of(const char *text)
{
	struct net_address address = { .len = strchr(text, ':') ? 16 : 4 };

	assert_int_equal(inet_pton(address.len == 4 ? AF_INET : AF_INET6, text, address.bytes), 1);
	return address;
}

static inline int own_network(void **state)
{
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct net_address address = address_of(OWN_ADDRESS);
	struct error err = { 0 };
	int fd, ret;

	if (unshare(CLONE_NEWNET))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ret = ioctl(fd, SIOCSIFFLAGS, &req);
	close(fd);
	return ret ? ret : net_address_add(&address, "lo", &err);
}

static inline struct sockaddr_in name_of(const char *text, int port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, text, &name.sin_addr), 1);
	return name;
}

static inline int listen_at(const char *text, int port)
{
	struct sockaddr_in name = name_of(text, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (void *)&name, sizeof(name)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* From the same address. */
static inline int dial(const char *text, int port)
{
	struct sockaddr_in name = name_of(text, port), own = name_of(text, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (void *)&own, sizeof(own)), 0);
	assert_int_equal(connect(fd, (void *)&name, sizeof(name)), 0);
	return fd;
}

#endif
