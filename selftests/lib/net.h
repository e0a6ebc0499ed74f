/* SPDX-License-Identifier: GPL-2.0 */
/* Connected sockets, and a thread that takes what comes out of one. */
#ifndef SPLICE_VM_SELFTESTS_NET_H
#define SPLICE_VM_SELFTESTS_NET_H

#include <pthread.h>
#include <stddef.h>

/* [0] is to be written to. */
void net_tcp_pair(int pair[2]);
void net_unix_pair(int pair[2]);

/*
 * What was received on one CPU may be freed on another, and that only when the
 * next packet comes there: a packet for each CPU.
 */
void net_drain(void);

struct net_kind {
	const char *name;
	void (*pair)(int pair[2]);
};

extern const struct net_kind net_kinds[2];

/* Exactly @len bytes. Return: bytes; fewer at the end of the stream or an error */
size_t net_read(int fd, void *buf, size_t len);

/* Takes all up to the end of the stream. */
struct net_sink {
	int fd;
	size_t len;
	size_t cap;
	char *data;
	pthread_t thread;
};

void net_sink_start(struct net_sink *sink, int fd, size_t cap);
/* The writing end must be closed or shut down. */
void net_sink_join(struct net_sink *sink);
void net_sink_free(struct net_sink *sink);

#endif
