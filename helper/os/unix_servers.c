// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/unix_diag.h"
#include "os/unix_servers.h"

#define NAMESPACES_MAX	256

static struct unix_server *add_room(struct unix_servers *servers)
{
	if (servers->nr == servers->cap) {
		size_t cap = servers->cap ? 2 * servers->cap : 64;
		struct unix_server *list = realloc(servers->list, cap * sizeof(*list));

		if (!list)
			return NULL;
		servers->list = list;
		servers->cap = cap;
	}
	return &servers->list[servers->nr];
}

static void take(void *ctx, const struct unix_sock *sock)
{
	struct unix_servers *servers = ctx;
	struct unix_server *server;

	if (!sock->name_bytes || (sock->type != SOCK_DGRAM && !sock->listens))
		return;
	server = add_room(servers);
	if (!server)
		return;
	*server = (struct unix_server){
		.name = malloc(sock->name_bytes), .name_bytes = sock->name_bytes,
		.type = sock->type, .file_ino = sock->file_ino, .here = servers->here,
	};
	if (!server->name)
		return;
	memcpy(server->name, sock->name, sock->name_bytes);
	servers->nr++;
}

/* Return: the inode of the namespace; 0: it has gone */
static ino_t namespace_of(const char *pid, int *fd)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.10s/ns/net", pid);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	return *fd >= 0 && !fstat(*fd, &st) ? st.st_ino : 0;
}

static bool is_new(ino_t *seen, size_t *nr, ino_t ino)
{
	for (size_t i = 0; i < *nr; i++)
		if (seen[i] == ino)
			return false;
	if (!ino || *nr == NAMESPACES_MAX)
		return false;
	seen[(*nr)++] = ino;
	return true;
}

static void read_others(struct unix_servers *servers)
{
	ino_t seen[NAMESPACES_MAX];
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t nr = 0;
	int fd;

	is_new(seen, &nr, namespace_of("self", &fd));
	if (fd >= 0)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		if (*entry->d_name < '1' || *entry->d_name > '9')
			continue;
		if (is_new(seen, &nr, namespace_of(entry->d_name, &fd)) && !setns(fd, CLONE_NEWNET))
			unix_diag_walk(take, servers);
		if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
}

void unix_servers_read(struct unix_servers *servers)
{
	*servers = (struct unix_servers){ .here = true };
	servers->unknown = unix_diag_walk(take, servers);
	servers->here = false;
	if (!servers->unknown)
		read_others(servers);
}

static bool has_abstract(const struct unix_servers *servers, const char *name, int type)
{
	size_t bytes = strlen(name);

	for (size_t i = 0; i < servers->nr; i++) {
		const struct unix_server *server = &servers->list[i];

		if (server->here && server->type == type && server->name_bytes == bytes &&
		    !server->name[0] && !memcmp(server->name + 1, name + 1, bytes - 1))
			return true;
	}
	return servers->unknown;
}

static bool has_path(const struct unix_servers *servers, const char *name, int type)
{
	size_t bytes = strlen(name);
	struct stat st;

	if (stat(name, &st) || !S_ISSOCK(st.st_mode))
		return false;
	for (size_t i = 0; i < servers->nr; i++) {
		const struct unix_server *server = &servers->list[i];

		/* an overlay has inode numbers of its own; a link has a name of its own */
		if (server->type == type && server->file_ino &&
		    (server->file_ino == (uint32_t)st.st_ino ||
		     (server->name_bytes == bytes && !memcmp(server->name, name, bytes))))
			return true;
	}
	return servers->unknown;
}

bool unix_servers_has(const struct unix_servers *servers, const char *name, int type)
{
	if (*name == '@')
		return has_abstract(servers, name, type);
	return *name == '/' && has_path(servers, name, type);
}
