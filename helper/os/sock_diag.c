// SPDX-License-Identifier: GPL-2.0
#include <netlink/netlink.h>
#include "os/net_inside.h"
#include "os/sock_diag.h"

static int connect_here(void *ctx)
{
	return nl_connect(ctx, NETLINK_SOCK_DIAG);
}

int sock_diag_connect(struct nl_sock *sock, pid_t pid)
{
	return pid ? net_inside(pid, connect_here, sock) : connect_here(sock);
}
