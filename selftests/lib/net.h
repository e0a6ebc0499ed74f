/* SPDX-License-Identifier: GPL-2.0 */
/* Connected sockets, and a thread that reads one to its end. */
#ifndef SPLICE_VM_SELFTESTS_NET_H
#define SPLICE_VM_SELFTESTS_NET_H

#include <pthread.h>
#include <stddef.h>

/* pair[0] is the writing end. */
void net_tcp_pair(int pair[2]);
void net_unix_pair(int pair[2]);

/*
 * Sends a packet on each CPU: memory of packets received on one CPU may be freed on another, when
 * the next packet comes there.
 */
void net_drain(void);

struct net_kind {
	const char *name;
	void (*pair)(int pair[2]);
};

extern const struct net_kind net_kinds[2];

/* Reads @len bytes. Return: bytes; fewer at the end of the stream and after an error */
size_t net_read(int fd, void *buf, size_t len);

/* A thread that reads a stream to its end. */
struct net_sink {
	int fd;
	size_t len;
	size_t cap;
	char *data;
	pthread_t thread;
};

void net_sink_start(struct net_sink *sink, int fd, size_t cap);
/* Call after the writing end was closed or shut down. */
void net_sink_join(struct net_sink *sink);
void net_sink_free(struct net_sink *sink);

#endif
