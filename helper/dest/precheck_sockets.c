// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "dest/precheck_sockets.h"
#include "dest/probe.h"

#define ANSWER_MS	10000

static bool server_address(const char *name, struct sockaddr_un *addr, socklen_t *bytes)
{
	size_t len = strlen(name);

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len < 2 || (name[0] != '/' && name[0] != '@') || len >= sizeof(addr->sun_path))
		return false;
	memcpy(addr->sun_path, name, len);
	if (name[0] == '@')
		addr->sun_path[0] = 0;
	*bytes = offsetof(struct sockaddr_un, sun_path) + len;
	return true;
}

/* As CRIU will. A server whose queue is full is there. */
static bool takes_connection(const void *ctx, size_t i)
{
	const Migrate__Setup *setup = ctx;
	const Migrate__UnixServer *server = setup->unix_servers[i];
	struct sockaddr_un addr;
	socklen_t bytes;
	int fd;

	if (!server_address(server->name, &addr, &bytes))
		return false;
	fd = socket(AF_UNIX, server->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 && (!connect(fd, (struct sockaddr *)&addr, bytes) || errno == EAGAIN);
}

static void compare_servers(const Migrate__Setup *setup, bool *there, struct refusals *refusals)
{
	size_t nr = setup->n_unix_servers;
	long got = probe_run(takes_connection, setup, there, nr, ANSWER_MS);

	if (got < 0) {
		precheck_refuse(refusals, "cannot look for the program's servers here: %s",
				strerror(errno));
		return;
	}
	for (size_t i = 0; i < nr; i++)
		if ((long)i >= got || !there[i])
			precheck_refuse(refusals, "descriptor %d of the program is connected to %s, and here no server takes connections there: start it here",
					setup->unix_servers[i]->fd, setup->unix_servers[i]->name);
}

void precheck_servers(const Migrate__Setup *setup, struct refusals *refusals)
{
	bool *there;

	if (setup->n_unix_servers > PRECHECK_MAX_SOCKETS) {
		precheck_refuse(refusals, "the program has more than %d servers",
				PRECHECK_MAX_SOCKETS);
		return;
	}
	there = calloc(setup->n_unix_servers + 1, sizeof(*there));
	if (there)
		compare_servers(setup, there, refusals);
	else
		precheck_refuse(refusals, "no memory for a list of servers");
	free(there);
}
