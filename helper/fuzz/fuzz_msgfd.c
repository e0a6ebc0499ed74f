// SPDX-License-Identifier: GPL-2.0
/* What a manager says to the helper. Input: the bytes on the socket. */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>
#include "fuzz/common.h"
#include "wire/msgfd.h"

static bool is_printable(const char *text)
{
	char clean[TEXT_MAX];

	text_printable(clean, sizeof(clean), text);
	return !strcmp(clean, text);
}

static void read_all(struct msgfd *msgfd)
{
	struct msgfd_message msg;
	struct error err = { 0 };
	int got;

	do {
		memset(&msg, 0xff, sizeof(msg));
		got = msgfd_recv(msgfd, 0, &msg, &err);
		fuzz_error_fits(got, &err);
		fuzz_assert(msgfd->got <= sizeof(msgfd->buf));
		if (got > 0)
			fuzz_assert(msg.type <= PHAUL_TYPE__UNSUP && is_printable(msg.text));
		/* what is not whole yet goes on coming */
	} while (got >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct msgfd msgfd;
	int fds = fuzz_fds();
	struct fuzz_pipe pipe = fuzz_pipe_open();

	fuzz_pipe_put(&pipe, data, size);
	fuzz_pipe_end(&pipe);
	msgfd_init(&msgfd, pipe.fd);
	read_all(&msgfd);
	close(pipe.fd);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
