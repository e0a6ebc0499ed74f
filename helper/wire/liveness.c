// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <netinet/in.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "wire/liveness.h"

#define PING_MS		600	/* the peer answers probes at most each 500 ms (tcp_invalid_ratelimit) */
#define PING_GRACE_MS	300	/* for the answer to the second probe */
#define PINGS_LOST	2
#define ANSWER_MS_MAX	2000	/* longest that an answer is given because the link is slow */

bool liveness_is_local(int fd)
{
	struct sockaddr_storage addr;
	const struct sockaddr_in *in4 = (const void *)&addr;
	const struct sockaddr_in6 *in6 = (const void *)&addr;
	socklen_t len = sizeof(addr);

	if (getpeername(fd, (void *)&addr, &len))
		return true;
	switch (addr.ss_family) {
	case AF_INET:
		return ntohl(in4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) &&
			in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
	default:
		return true;
	}
}

void liveness_init(struct liveness *live, int fd)
{
	*live = (struct liveness){ .fd = fd, .looked_ms = clock_now_ms() };
}

static void ask(struct liveness *live, int64_t now)
{
	live->asked = true;
	live->asked_ms = now;
	live->silent_ms = 0;
	live->pings = 0;
}

void liveness_asked(struct liveness *live)
{
	if (!live->asked)
		ask(live, clock_now_ms());
}

/*
 * TCP_REPAIR_OFF sends a window probe, also when the socket was not in repair mode. The kernel's
 * own probes of a closed window, and what it sends again, come at ever longer intervals. Without CAP_NET_ADMIN there are only
 * those. It takes SO_REUSEADDR from the socket too: as long as such a connection waits for its end nobody could listen on its port.
 */
static void ping(struct liveness *live, int64_t now)
{
	int off = TCP_REPAIR_OFF, one = 1;

	live->pinged_ms = now;
	if (setsockopt(live->fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)))
		return;
	live->pings++;
	setsockopt(live->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
}

/* How long an answer takes on this link, there and back, behind what waits in its queues */
static int64_t answer_ms(const struct tcp_info *info)
{
	int64_t ms = (info->tcpi_rtt + 4UL * info->tcpi_rttvar) / 1000;

	return ms < ANSWER_MS_MAX ? ms : ANSWER_MS_MAX;
}

bool liveness_is_lost(struct liveness *live, unsigned int lost_ms)
{
	int64_t now = clock_now_ms(), passed = now - live->looked_ms, limit, heard;
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	bool closed;

	live->looked_ms = now;
	if (getsockopt(live->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return false;
	limit = lost_ms + answer_ms(&info);
	heard = info.tcpi_last_ack_recv < info.tcpi_last_data_recv ? info.tcpi_last_ack_recv :
		info.tcpi_last_data_recv;
	/* closed window: no segment is under way although data waits */
	closed = !info.tcpi_unacked && info.tcpi_notsent_bytes;
	if (live->asked && heard <= now - live->asked_ms)
		live->asked = false;
	if (!live->asked && !info.tcpi_unacked && !info.tcpi_probes &&
	    !(closed && heard >= PING_MS))
		return false;
	if (!live->asked)
		ask(live, now);
	else
		/* a long gap between two looks says that this machine stood still, not the peer */
		live->silent_ms += passed < limit / 2 ? passed : limit / 2;
	/* after some silence the kernel sends again at ever longer intervals: the link may be back long before */
	if ((closed || (info.tcpi_backoff && heard >= PING_MS)) && now - live->pinged_ms >= PING_MS)
		ping(live, now);
	if (closed && limit < PING_MS + PING_GRACE_MS)
		limit = PING_MS + PING_GRACE_MS;
	return live->silent_ms >= limit &&
	       (!closed || info.tcpi_probes || live->pings >= PINGS_LOST);
}
