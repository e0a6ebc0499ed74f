// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/io.h"

int io_write_all(int fd, const void *buf, size_t bytes)
{
	const char *at = buf;

	while (bytes) {
		ssize_t n = write(fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += n;
		bytes -= n;
	}
	return 0;
}

int io_pwrite_all(int fd, const void *buf, size_t bytes, off_t at)
{
	const char *from = buf;

	while (bytes) {
		ssize_t n = pwrite(fd, from, bytes, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		from += n;
		at += n;
		bytes -= n;
	}
	return 0;
}

int io_pread_all(int fd, void *buf, size_t bytes, off_t at, size_t *done)
{
	*done = 0;
	while (*done < bytes) {
		ssize_t n = pread(fd, (char *)buf + *done, bytes - *done, at + *done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n;
		*done += n;
	}
	return 0;
}

int io_write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), saved;
	ssize_t n;

	if (fd < 0)
		return -1;
	do
		n = write(fd, text, strlen(text));
	while (n < 0 && errno == EINTR);
	saved = errno;
	close(fd);
	errno = saved;
	return n == (ssize_t)strlen(text) ? 0 : -1;
}
