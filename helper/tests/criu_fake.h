/* SPDX-License-Identifier: GPL-2.0 */
/* Sends and receives the messages of a stand-in for CRIU on its RPC socket. */
#ifndef MIGRATE_TESTS_CRIU_FAKE_H
#define MIGRATE_TESTS_CRIU_FAKE_H

#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include "criu/rpc.h"

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
