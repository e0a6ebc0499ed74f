// SPDX-License-Identifier: GPL-2.0
#include <netinet/in.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "wire/link_rate.h"
#include "wire/liveness.h"

/* Sent by the program and not acknowledged by the other machine's kernel; of TLS in a process, that process's. */
static void look(const struct conn *conn, struct link_rate_moment *moment)
{
	int fd = conn_link_fd(conn), nr = 0;
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	*moment = (struct link_rate_moment){ .ns = clock_now_ns() };
	if (!ioctl(fd, SIOCOUTQ, &nr) && nr > 0)
		moment->queued = nr;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return;
	moment->busy_us = info.tcpi_busy_time;
	moment->window_us = info.tcpi_rwnd_limited;
}

void link_rate_begin(struct link_rate *rate)
{
	look(rate->conn, &rate->since);
}

void link_rate_end(struct link_rate *rate, uint64_t bytes)
{
	uint64_t all = rate->since.queued + bytes;
	struct link_rate_moment now;

	if (!bytes)
		return;
	look(rate->conn, &now);
	rate->ns += now.ns - rate->since.ns;
	rate->left += all > now.queued ? all - now.queued : 0;
	rate->busy_us += now.busy_us - rate->since.busy_us;
	rate->window_us += now.window_us - rate->since.window_us;
}

void link_rate_forget(struct link_rate *rate)
{
	rate->ns = rate->left = rate->busy_us = rate->window_us = 0;
}

bool link_rate_is_peers(const struct link_rate *rate)
{
	return rate->window_us > rate->busy_us / 2 && !liveness_is_local(conn_link_fd(rate->conn));
}
