// SPDX-License-Identifier: GPL-2.0
/* What criu --stream says to image-proxy and image-cache, and what they answer. Input: the bytes on the socket. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "fuzz/common.h"
#include "services/stream_request.h"

static void read_requests(const uint8_t *data, size_t size)
{
	struct fuzz_pipe pipe = fuzz_pipe_open();
	struct stream_request request;
	struct error err = { 0 };
	int ret, fd;

	fuzz_pipe_put(&pipe, data, size);
	fuzz_pipe_end(&pipe);
	do {
		ret = stream_request_read(pipe.fd, &request, &err);
		fuzz_error_fits(ret, &err);
		if (ret > 0)
			fuzz_assert(!*request.name == request.confirm &&
				    strlen(request.name) <= IMAGE_NAME_BYTES);
	} while (ret > 0);
	memset(&err, 0, sizeof(err));
	fd = stream_pipe_read(pipe.fd, O_RDONLY, NULL, &err);
	/* nobody passes one here */
	fuzz_assert(fd < 0 && error_is_set(&err));
	close(pipe.fd);
}

static void read_reply(const uint8_t *data, size_t size)
{
	struct fuzz_pipe pipe = fuzz_pipe_open();
	bool exists;

	fuzz_pipe_put(&pipe, data, size);
	fuzz_pipe_end(&pipe);
	stream_reply_read(pipe.fd, &exists);
	close(pipe.fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fds = fuzz_fds();

	read_requests(data, size);
	read_reply(data, size);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
