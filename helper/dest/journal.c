// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "dest/journal.h"
#include "os/proc_files.h"

#define HEADER_BYTES_MAX	1024

static int stream_begin(const Migrate__JournalStream *stream, pid_t pid, struct error *err)
{
	size_t bytes = strlen(stream->header);
	int fd = proc_fd_get(pid, stream->fd);
	ssize_t n;

	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "descriptor %d was not restored",
				   stream->fd);
	n = bytes > HEADER_BYTES_MAX ? -1 :
	    send(fd, stream->header, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	return n == (ssize_t)bytes ? 0 :
	       error_errno(err, CODE_NOT_READY, "look at systemd-journald here",
			   "the journal does not take the output of the program (descriptor %d)",
			   stream->fd);
}

int journal_streams_begin(const Migrate__Process *said, pid_t pid, struct error *err)
{
	for (size_t i = 0; i < said->n_journal_streams; i++)
		if (stream_begin(said->journal_streams[i], pid, err))
			return -1;
	return 0;
}
