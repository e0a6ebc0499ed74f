/* SPDX-License-Identifier: GPL-2.0 */
/* The far end of SEND: a thread that takes batches apart into a mirror. */
#ifndef SPLICE_VM_SELFTESTS_RECEIVER_H
#define SPLICE_VM_SELFTESTS_RECEIVER_H

#include <pthread.h>

#include "mirror.h"

/**
 * struct receiver - batches from one socket
 * @fd: the socket
 * @mirror: filled; only looked at between receiver_wait() and the next SEND
 * @cookie: that batches must have
 * @chunk: bytes of one read, or 0 for as much as is wanted
 * @delay_us: pause after each read
 * @bytes: taken so far
 * @batches: taken so far
 * @pages: taken so far
 * @broken: what was wrong with the stream, or NULL
 * @pages_buf: for the pages of one batch
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

/* @fd, @mirror, @cookie, @chunk and @delay_us are set; the rest is 0. */
void receiver_start(struct receiver *r);
/* Until @bytes have been taken. Return: false when they never will be */
bool receiver_wait(struct receiver *r, __u64 bytes);
/* After the writing end was closed or shut down. */
void receiver_join(struct receiver *r);

#endif
