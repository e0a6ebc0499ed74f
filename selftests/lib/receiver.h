/* SPDX-License-Identifier: GPL-2.0 */
/* The far end of SEND: a thread that stores the pages of batches in a mirror. */
#ifndef SPLICE_VM_SELFTESTS_RECEIVER_H
#define SPLICE_VM_SELFTESTS_RECEIVER_H

#include <pthread.h>

#include "mirror.h"

/**
 * struct receiver - batches from one socket
 * @fd: the socket
 * @mirror: filled; the test reads it only between receiver_wait() and the next SEND
 * @cookie: cookie that each batch must have
 * @chunk: bytes of one read; 0: no limit
 * @delay_us: pause after each read
 * @bytes: bytes received so far
 * @batches: batches received so far
 * @pages: pages received so far
 * @broken: error in the stream, or NULL
 * @pages_buf: room for the pages of one batch
 * @ended: the stream has ended, or is broken
 */
struct receiver {
	int fd;
	struct mirror *mirror;
	__u64 cookie;
	size_t chunk;
	unsigned long delay_us;
	__u64 bytes;
	__u64 batches;
	__u64 pages;
	const char *broken;
	unsigned char *pages_buf;
	bool ended;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t moved;
};

/* The caller has set @fd, @mirror, @cookie, @chunk and @delay_us, and all other fields to 0. */
void receiver_start(struct receiver *r);
/* Waits for @bytes bytes. Return: false when the stream ends before */
bool receiver_wait(struct receiver *r, __u64 bytes);
/* Call after the writing end was closed or shut down. */
void receiver_join(struct receiver *r);

#endif
