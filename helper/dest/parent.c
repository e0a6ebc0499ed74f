// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include "base/fdpass.h"
#include "dest/parent.h"

void parent_say_committed(int sock)
{
	const struct parent_msg msg = { .ended = false };

	fdpass_send(sock, &msg, sizeof(msg), NULL, 0);
}

void parent_say_ended(int sock, int code, bool detached)
{
	const struct parent_msg msg = { .ended = true, .code = code, .detached = detached };

	fdpass_send(sock, &msg, sizeof(msg), NULL, 0);
}

int parent_pass_conn(int sock, const struct conn *conn)
{
	const struct parent_conn msg = {
		.kind = conn->kind, .index = conn->index, .streams = conn->streams, .in_kernel = conn->in_kernel,
	};
	const int fds[] = { conn->fd, conn->tcp, conn->note };

	return fdpass_try_send(sock, &msg, sizeof(msg), fds, conn->tcp > 0 ? 3 : 1);
}

int parent_next_conn(int sock, int timeout_ms, struct conn *conn, struct error *err)
{
	struct parent_conn msg;
	int fds[FDPASS_MAX], ret;

	ret = fdpass_recv(sock, &msg, sizeof(msg), fds, timeout_ms);
	if (ret < 0 && errno == ETIMEDOUT)
		return 0;
	if (ret != 1 || fds[0] < 0)
		return error_set(err, CODE_ABORTED, NULL, "the accepting process has ended");
	*conn = (struct conn){
		.fd = fds[0], .tcp = fds[1] > 0 ? fds[1] : 0, .note = fds[2] > 0 ? fds[2] : 0, .kind = msg.kind,
		.index = msg.index, .streams = msg.streams, .in_kernel = msg.in_kernel,
	};
	return 1;
}
