// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "dest/journal.h"
#include "os/journal.h"
#include "os/proc_files.h"

#define HEADER_BYTES_MAX	1024

bool journal_is_stream(int fd, const char *path)
{
	struct sockaddr_un peer = { 0 };
	socklen_t bytes = sizeof(peer), size = sizeof(int);
	int type = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_STREAM &&
	       !getpeername(fd, (struct sockaddr *)&peer, &bytes) && peer.sun_family == AF_UNIX &&
	       bytes > offsetof(struct sockaddr_un, sun_path) &&
	       !strncmp(peer.sun_path, path, sizeof(peer.sun_path));
}

static int stream_begin(const Migrate__JournalStream *stream, pid_t pid, struct error *err)
{
	size_t bytes = strlen(stream->header);
	int fd = proc_fd_get(pid, stream->fd);
	ssize_t n;

	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "descriptor %d was not restored",
				   stream->fd);
	/* the source names the descriptor: what it is comes from the kernel */
	if (!journal_is_stream(fd, JOURNAL_STDOUT)) {
		close(fd);
		return error_set(err, CODE_PEER, NULL,
				 "descriptor %d of the restored program is not connected to the journal",
				 stream->fd);
	}
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
