// SPDX-License-Identifier: GPL-2.0
/* What the original protocol of CRIU's image proxy and image cache says. Input: the bytes on the socket. */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>
#include "fuzz/common.h"
#include "services/remote_request.h"

static void check_request(const struct remote_request *request)
{
	const char *name = request->key + strlen(request->snapshot);

	fuzz_assert(strlen(request->key) <= IMAGE_NAME_BYTES);
	if (request->mode == REMOTE_FINISH) {
		fuzz_assert(!*request->key && !*request->snapshot);
		return;
	}
	fuzz_assert(request->writes == (request->mode != REMOTE_READ));
	/* the last slash parts the two, so that no two images have one key */
	fuzz_assert(!strncmp(request->key, request->snapshot, strlen(request->snapshot)));
	fuzz_assert(*name == '/' && name[1] && !strchr(name + 1, '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fds = fuzz_fds(), ret;
	struct fuzz_pipe pipe = fuzz_pipe_open();
	struct remote_request request;
	struct error err = { 0 };

	fuzz_pipe_put(&pipe, data, size);
	fuzz_pipe_end(&pipe);
	do {
		ret = remote_request_read(pipe.fd, &request, &err);
		fuzz_error_fits(ret, &err);
		if (ret > 0)
			check_request(&request);
	} while (ret > 0);
	close(pipe.fd);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
