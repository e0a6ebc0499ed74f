/* SPDX-License-Identifier: GPL-2.0 */
/* A stand-in for CRIU: how it is found, and its messages on the RPC socket. */
#ifndef MIGRATE_TESTS_CRIU_FAKE_H
#define MIGRATE_TESTS_CRIU_FAKE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "criu/rpc.h"
#include "tests/test_dir.h"

/* Make @bin a PATH in which the test itself is `criu`: it is then run as criu --no-default-config swrk FD. */
static inline void criu_fake_install(struct test_dir *bin)
{
	char self[256] = "", link[64];

	dir_make(bin);
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(link, sizeof(link), "%s/criu", bin->path);
	assert_int_equal(symlink(self, link), 0);
	setenv("PATH", bin->path, 1);
}

static inline void criu_fake_send(int fd, CriuResp *resp)
{
	uint8_t buffer[512];
	size_t bytes = criu_resp__pack(resp, buffer);

	if (send(fd, buffer, bytes, MSG_NOSIGNAL) < 0)
		_exit(1);
}

static inline CriuReq *criu_fake_recv(int fd)
{
	uint8_t buffer[8192];
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	return n > 0 ? criu_req__unpack(NULL, n, buffer) : NULL;
}

#endif
