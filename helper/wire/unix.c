// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "os/safe_dir.h"
#include "wire/unix.h"

#define BACKLOG		64
#define CONNECT_S	10	/* seconds that connect() waits for a server that does not accept */

const char *unix_path(const char *where)
{
	size_t len = strlen(UNIX_PREFIX);

	return strncmp(where, UNIX_PREFIX, len) ? NULL : where + len;
}

int unix_check(const char *path, struct error *err)
{
	struct sockaddr_un addr;

	if (*path == '/' && strlen(path) < sizeof(addr.sun_path) && path[strlen(path) - 1] != '/')
		return 0;
	return error_set(err, CODE_USAGE, "write it as unix:PATH, with an absolute path",
			 "\"%.120s\" is no absolute path of a socket with at most %zu bytes", path,
			 sizeof(addr.sun_path) - 1);
}

static int open_socket(const char *path, struct sockaddr_un *addr, struct error *err)
{
	int fd;

	if (unix_check(path, err))
		return -1;
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strcpy(addr->sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 ? fd : error_errno(err, CODE_INTERNAL, NULL, "cannot make a socket");
}

/* Remove a socket whose server has ended: connect() says ECONNREFUSED. */
static int remove_stale(const struct sockaddr_un *addr, struct error *err)
{
	int fd, lost;
	struct stat st;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 :
		       error_errno(err, CODE_NOT_READY, NULL, "cannot look at %s", addr->sun_path);
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return error_set(err, CODE_NOT_READY, "choose another path for --listen",
				 "%s is there already, and is no socket of ours", addr->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	lost = fd >= 0 && connect(fd, (const void *)addr, sizeof(*addr)) && errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	if (!lost)
		return error_set(err, CODE_NETWORK, "choose another path for --listen",
				 "another program listens on %s", addr->sun_path);
	if (unlink(addr->sun_path))
		return error_errno(err, CODE_NOT_READY, NULL, "cannot remove %s", addr->sun_path);
	return 0;
}

static int bind_private(int fd, const struct sockaddr_un *addr, struct error *err)
{
	mode_t old = umask(0177);
	int ret = bind(fd, (const void *)addr, sizeof(*addr));

	umask(old);
	if (ret || listen(fd, BACKLOG))
		return error_errno(err, CODE_NETWORK, NULL, "cannot listen on %s", addr->sun_path);
	return 0;
}

int unix_listen(const char *path, struct error *err)
{
	struct sockaddr_un addr;
	int fd = open_socket(path, &addr, err), dir_fd, ret = -1;
	char dir[sizeof(addr.sun_path)];

	if (fd < 0)
		return -1;
	strcpy(dir, path);
	*strrchr(dir, '/') = 0;
	dir_fd = safe_dir_open(*dir ? dir : "/", true, err);
	/* the lock orders two servers that start at once: the second one finds a live socket */
	if (dir_fd >= 0 && !flock(dir_fd, LOCK_EX) && !remove_stale(&addr, err))
		ret = bind_private(fd, &addr, err);
	if (dir_fd >= 0)
		close(dir_fd);
	if (!ret)
		return fd;
	close(fd);
	return -1;
}

int unix_note(const char *path, struct unix_file *file, struct error *err)
{
	struct stat st;

	if (lstat(path, &st))
		return error_errno(err, CODE_NOT_READY, NULL, "cannot look at %s", path);
	*file = (struct unix_file){ .dev = st.st_dev, .ino = st.st_ino };
	return 0;
}

void unix_remove(const char *path, const struct unix_file *file)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct unix_file now = { 0 };
	int dir_fd;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path + 1), path);
	dir_fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	/* under the lock no other server binds the path between look and removal */
	if (dir_fd >= 0 && !flock(dir_fd, LOCK_EX) && !unix_note(path, &now, &(struct error){ 0 }) &&
	    now.dev == file->dev && now.ino == file->ino)
		unlink(path);
	if (dir_fd >= 0)
		close(dir_fd);
}

int unix_connect(const char *path, struct error *err)
{
	const struct timeval none = { 0 }, limit = { .tv_sec = CONNECT_S };
	struct sockaddr_un addr;
	int fd = open_socket(path, &addr, err);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (const void *)&addr, sizeof(addr))) {
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
		return fd;
	}
	error_errno(err, CODE_NETWORK,
		    "does anything listen there (\"migrate-helper serve\", for one; \"ssh -L\" for a socket of another machine)?",
		    "cannot connect to %s", path);
	close(fd);
	return -1;
}
