// SPDX-License-Identifier: GPL-2.0
/*
 * The socket on which CRIU hands over userfaultfds. Input: words, each a byte of which the
 * lower half is its length and the upper half how many descriptors come with it.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "criu/criu.h"
#include "fuzz/common.h"

#define FDS_MAX	8

static int call(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/lazy-pages.socket", fuzz_dir_path());
	fuzz_assert(fd >= 0 && !connect(fd, (void *)&addr, sizeof(addr)));
	return fd;
}

static void say(int fd, struct fuzz_input *in)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	uint8_t shape = fuzz_byte(in), nr_fds = (shape >> 4) % (FDS_MAX + 1);
	struct fuzz_input word = fuzz_take(in, shape & 15);
	struct iovec iov = { .iov_base = (void *)word.data, .iov_len = word.size };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr_fds) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		/* any will do: they are all 0, standard input */
		hdr.msg_control = control.bytes;
		hdr.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
	}
	if (word.size)
		sendmsg(fd, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Return: false when nothing will come any more */
static bool hear(struct lazy_server *srv)
{
	struct error err = { 0 };
	enum lazy_event event;
	int ret, uffd;
	pid_t pid;

	do {
		ret = lazy_server_next(srv, &event, &pid, &uffd, &err);
		fuzz_error_fits(ret, &err);
		fuzz_assert(uffd < 0 || event == LAZY_TASK);
		fuzz_assert(event == LAZY_TASK ? pid > 0 : !pid);
		if (uffd >= 0)
			close(uffd);
	} while (!ret && event == LAZY_TASK);
	return !ret && event == LAZY_NOTHING;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	int dir_fd = fuzz_dir(), fds = fuzz_fds(), fd;
	struct error err = { 0 };
	struct lazy_server *srv;
	bool more = true;

	fuzz_assert(!lazy_server_listen(dir_fd, &srv, &err));
	fd = call();
	hear(srv);
	while (more && in.size) {
		say(fd, &in);
		/* a word may come in pieces */
		for (int i = 0; i < 16 && more; i++)
			more = hear(srv);
	}
	close(fd);
	lazy_server_close(srv);
	fuzz_dir_empty(dir_fd);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
