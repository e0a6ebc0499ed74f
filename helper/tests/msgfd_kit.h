/* SPDX-License-Identifier: GPL-2.0 */
/* The socket of --msgfd, and the manager's end of it in a test's hand. Included by one test. */
#ifndef MIGRATE_TESTS_MSGFD_KIT_H
#define MIGRATE_TESTS_MSGFD_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "wire/msgfd.h"

#define CASE(test)	cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

/* A success of 5 bytes */
static const uint8_t good[] __attribute__((unused)) = { 4, 0, 0, 0, 8, 2, 24, 5 };
static struct msgfd msgfd;
static struct error err;
static int far;

static inline int open_pair(void **state)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	far = pair[1];
	msgfd_init(&msgfd, pair[0]);
	memset(&err, 0, sizeof(err));
	return 0;
}

static inline int close_pair(void **state)
{
	close(msgfd.fd);
	close(far);
	return 0;
}

static inline void say(const void *data, size_t bytes)
{
	assert_int_equal(write(far, data, bytes), bytes);
}

#endif
