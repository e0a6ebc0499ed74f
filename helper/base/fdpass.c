// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fdpass.h"

#define FDS_BYTES	CMSG_SPACE(FDPASS_MAX * sizeof(int))

union control {
	char buf[FDS_BYTES + CMSG_SPACE(sizeof(struct ucred))];
	struct cmsghdr align;
};

int fdpass_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int send_one(int sock, const void *msg, size_t bytes, const int *fds, size_t nr_fds,
		    int flags)
{
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = bytes };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { 0 };
	ssize_t n;

	if (nr_fds) {
		struct cmsghdr *cmsg = &control.align;

		head.msg_control = control.buf;
		head.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nr_fds * sizeof(int));
	}
	do
		n = sendmsg(sock, &head, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)bytes ? 0 : -1;
}

int fdpass_send(int sock, const void *msg, size_t bytes, const int *fds, size_t nr_fds)
{
	return send_one(sock, msg, bytes, fds, nr_fds, 0);
}

int fdpass_try_send(int sock, const void *msg, size_t bytes, const int *fds, size_t nr_fds)
{
	return send_one(sock, msg, bytes, fds, nr_fds, MSG_DONTWAIT);
}

/* Take the first @most descriptors of the message, and close the others. */
static void take_fds(struct msghdr *head, int *fds, size_t most)
{
	size_t taken = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c)) {
		size_t nr = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < nr; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (taken < most)
				fds[taken++] = fd;
			else
				close(fd);
		}
	}
}

static pid_t sender_of(struct msghdr *head)
{
	struct ucred ucred = { 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&ucred, CMSG_DATA(c), sizeof(ucred));
	return ucred.pid;
}

/* @flags: of recvmsg() on entry, of the message on return */
static ssize_t recv_one(int sock, void *buf, size_t bytes, int *fds, size_t most, int *flags,
			pid_t *sender)
{
	struct iovec iov = { .iov_base = buf, .iov_len = bytes };
	union control control;
	struct msghdr head = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sender ? sizeof(control.buf) : FDS_BYTES,
	};
	ssize_t n;

	for (size_t i = 0; i < most; i++)
		fds[i] = -1;
	do
		n = recvmsg(sock, &head, MSG_CMSG_CLOEXEC | *flags);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		take_fds(&head, fds, most);
	if (sender)
		*sender = n >= 0 ? sender_of(&head) : 0;
	*flags = head.msg_flags;
	return n;
}

ssize_t fdpass_recv_bytes(int sock, void *buf, size_t bytes, int *fd, pid_t *sender)
{
	int flags = 0;

	return recv_one(sock, buf, bytes, fd, 1, &flags, sender);
}

ssize_t fdpass_peek_bytes(int sock, void *buf, size_t bytes, int *fd)
{
	int flags = MSG_PEEK;

	return recv_one(sock, buf, bytes, fd, 1, &flags, NULL);
}

int fdpass_recv(int sock, void *msg, size_t bytes, int *fds, int timeout_ms)
{
	struct pollfd poll_in = { .fd = sock, .events = POLLIN };
	int ready, flags = 0;
	ssize_t n;

	for (size_t i = 0; i < FDPASS_MAX; i++)
		fds[i] = -1;
	do
		ready = poll(&poll_in, 1, timeout_ms);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0) {
		if (!ready)
			errno = ETIMEDOUT;
		return -1;
	}
	n = recv_one(sock, msg, bytes, fds, FDPASS_MAX, &flags, NULL);
	if (n <= 0)
		return n && errno != ECONNRESET ? -1 : 0;
	if (n == (ssize_t)bytes && !(flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 1;
	for (size_t i = 0; i < FDPASS_MAX; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
	errno = EPROTO;
	return -1;
}
