// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/report.h"
#include "fuzz/common.h"

#define PIPE_BYTES	(1 << 20)	/* what a socket takes before it is read */
#define FDS_LOOKED_AT	128

static char dir_path[128];
static int dir_fd = -1;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	signal(SIGPIPE, SIG_IGN);
	/* as JSON, so that text of the other side goes through the encoder too */
	report_init(true);
	if (!freopen("/dev/null", "w", stdout))
		abort();
	return 0;
}

uint8_t fuzz_byte(struct fuzz_input *in)
{
	struct fuzz_input byte = fuzz_take(in, 1);

	return byte.size ? *byte.data : 0;
}

struct fuzz_input fuzz_take(struct fuzz_input *in, size_t bytes)
{
	struct fuzz_input taken = { in->data, bytes < in->size ? bytes : in->size };

	in->data += taken.size;
	in->size -= taken.size;
	return taken;
}

struct fuzz_input fuzz_chunk(struct fuzz_input *in)
{
	size_t low = fuzz_byte(in), high = fuzz_byte(in);

	return fuzz_take(in, low | high << 8);
}

struct fuzz_pipe fuzz_pipe_open(void)
{
	int pair[2], bytes = PIPE_BYTES;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	/* forced: as root more than wmem_max */
	if (setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return (struct fuzz_pipe){ .fd = pair[0], .far = pair[1] };
}

void fuzz_pipe_put(struct fuzz_pipe *pipe, const void *data, size_t bytes)
{
	if (bytes)
		send(pipe->far, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void fuzz_pipe_end(struct fuzz_pipe *pipe)
{
	close(pipe->far);
	pipe->far = -1;
}

static void dir_remove(void)
{
	fuzz_dir_empty(dir_fd);
	rmdir(dir_path);
}

int fuzz_dir(void)
{
	if (dir_fd >= 0)
		return dir_fd;
	/* who runs many targets removes what those leave that crash */
	snprintf(dir_path, sizeof(dir_path), "%s/migrate-fuzz-XXXXXX",
		 getenv("FUZZ_DIR") ?: "/dev/shm");
	if (!mkdtemp(dir_path))
		abort();
	dir_fd = open(dir_path, O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 || atexit(dir_remove))
		abort();
	return dir_fd;
}

const char *fuzz_dir_path(void)
{
	fuzz_dir();
	return dir_path;
}

void fuzz_dir_empty(int fd)
{
	int copy = openat(fd, ".", O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	fuzz_assert(stream);
	while ((entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(fd, entry->d_name, 0)) {
			int sub = openat(fd, entry->d_name, O_DIRECTORY | O_CLOEXEC);

			fuzz_dir_empty(sub);
			close(sub);
			unlinkat(fd, entry->d_name, AT_REMOVEDIR);
		}
	}
	closedir(stream);
}

int fuzz_fds(void)
{
	int nr = 0;

	for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}
