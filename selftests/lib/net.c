// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"

void net_tcp_pair(int pair[2])
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ksft_must(server >= 0);
	ksft_must(!bind(server, (void *)&addr, len) && !listen(server, 1));
	ksft_must(!getsockname(server, (void *)&addr, &len));
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ksft_must(pair[0] >= 0);
	/* fails when loopback is not set up in the guest */
	ksft_must(!connect(pair[0], (void *)&addr, len));
	pair[1] = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	ksft_must(pair[1] >= 0);
	close(server);
}

void net_unix_pair(int pair[2])
{
	ksft_must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
}

static void net_ping(int fd, const struct sockaddr_in *addr)
{
	char byte = 0;

	ksft_must(sendto(fd, &byte, 1, 0, (void *)addr, sizeof(*addr)) == 1);
	ksft_must(recv(fd, &byte, 1, 0) == 1);
}

void net_drain(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int cpu, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cpu_set_t all, one;

	ksft_must(fd >= 0 && !bind(fd, (void *)&addr, len));
	ksft_must(!getsockname(fd, (void *)&addr, &len));
	ksft_must(!sched_getaffinity(0, sizeof(all), &all));
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		ksft_must(!sched_setaffinity(0, sizeof(one), &one));
		net_ping(fd, &addr);
	}
	ksft_must(!sched_setaffinity(0, sizeof(all), &all));
	close(fd);
}

const struct net_kind net_kinds[2] = {
	{ "TCP", net_tcp_pair },
	{ "AF_UNIX", net_unix_pair },
};

size_t net_read(int fd, void *buf, size_t len)
{
	size_t done = 0;
	ssize_t got;

	while (done < len) {
		got = read(fd, (char *)buf + done, len - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += got;
	}
	return done;
}

static void *net_sink_run(void *arg)
{
	struct net_sink *sink = arg;

	sink->len = net_read(sink->fd, sink->data, sink->cap);
	return NULL;
}

void net_sink_start(struct net_sink *sink, int fd, size_t cap)
{
	*sink = (struct net_sink){ .fd = fd, .cap = cap };
	sink->data = malloc(cap);
	ksft_must(sink->data);
	ksft_must(!pthread_create(&sink->thread, NULL, net_sink_run, sink));
}

void net_sink_join(struct net_sink *sink)
{
	pthread_join(sink->thread, NULL);
}

void net_sink_free(struct net_sink *sink)
{
	free(sink->data);
}
